"""Balances the books of a run: what was published, what is in the log, what every service has made of it."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import delete, func, select, update

from trunkline.catalogue.model import Catalogue
from trunkline.cli._common import Sabotage, note, service_store_url
from trunkline.cli._observe import (
    AUDIT,
    Ledger,
    audit_claims,
    logged,
    open_audit_store,
    read_effects,
    read_log,
)
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.client.store import open_store
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.billing.tables import USAGE_AGG
from trunkline.testing.checker import Claim, reconcile
from trunkline.testing.oracles import service_claims

SETTLE_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class Books:
    """The claims, and how many events of each topic are in the log."""

    claims: tuple[Claim, ...]
    by_topic: Counter[str]


def balance(
    connect: Callable[[str], ConnectionOptions], catalogue: Catalogue, *, ledger: Ledger, data_dir: Path
) -> Books:
    """Read everything back and compare. `connect` says how each topic is reached."""
    note("reconciling")
    records = list(read_log(connect, catalogue.topics))
    with closing(open_audit_store(data_dir)) as store:
        claims = reconcile(
            ledger.sent(),
            [logged(record) for record in records],
            read_effects(store),
            topics=catalogue.topics,
            effective_topics=[topic.name for topic in catalogue.consumed_by(AUDIT)],
            others=[f"/{service}" for service in catalogue.services],
        )
        audited = audit_claims(store, data_dir)
    by_service = service_claims(records, partial(service_store_url, data_dir))
    return Books((*claims, *audited, *by_service), Counter(record.topic for record in records))


def damage(
    sabotage: Sabotage,
    connect: Callable[[str], ConnectionOptions],
    catalogue: Catalogue,
    *,
    ledger: Ledger,
    data_dir: Path,
) -> None:
    """Do real damage, which the books must show. `connect` says how each service comes to the cluster."""
    match sabotage:
        case Sabotage.REPEAT:
            last = ledger.last
            connection = connect(last.service)
            with Publisher(service=last.service, connection=connection, catalogue=catalogue) as publisher:
                publisher.publish_envelope(last.envelope).result(SETTLE_SECONDS_MAX)
        case Sabotage.LOSE:
            with closing(open_audit_store(data_dir)) as store, store.write() as tx:
                newest = select(func.max(AUDIT_EVENT.c.row_id)).scalar_subquery()
                tx.execute(delete(AUDIT_EVENT).where(AUDIT_EVENT.c.row_id == newest))
        case Sabotage.MISCOUNT:
            url = service_store_url(data_dir, "billing-service")
            with closing(open_store(url)) as store, store.write() as tx:
                tx.execute(
                    update(USAGE_AGG).where(USAGE_AGG.c.meter == "QUERY_EXECUTIONS").values(value=Decimal(41))
                )
