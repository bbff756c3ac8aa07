"""Reads back what a run left behind: the log, through a reader of its own, and the audit ledger."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sqlalchemy import func, inspect, select

from trunkline.cli._common import service_store_url
from trunkline.client.config import ConnectionOptions
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.reader import TopicReader
from trunkline.client.store import Store, failures, open_store
from trunkline.codec.record import Record
from trunkline.services.audit.app import checkpoint_files, signing_key_path
from trunkline.services.audit.note import load_verifier, public_key_path
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.audit.verify import verify_store
from trunkline.sources.workload import Produced
from trunkline.testing.checker import Claim, Effect, Identity, Logged, Position, Sent

AUDIT = "audit-service"


class Ledger:
    """An account that keeps everything, in publishing order: for a bounded run that is reconciled."""

    def __init__(self) -> None:
        self._published: list[tuple[Produced, Delivery]] = []

    def __len__(self) -> int:
        return len(self._published)

    def published(self, produced: Produced, delivery: Delivery) -> None:
        self._published.append((produced, delivery))

    @property
    def last(self) -> Produced:
        return self._published[-1][0]

    def sent(self) -> list[Sent]:
        return [
            Sent(
                topic=produced.topic,
                identity=Identity(produced.envelope.tenantid, produced.envelope.source, produced.envelope.id),
                position=_position(delivery),
            )
            for produced, delivery in self._published
        ]


def read_log(connect: Callable[[str], ConnectionOptions], topics: Iterable[str]) -> Iterator[Record]:
    """Everything in these topics, each over the connection of who may read it."""
    for topic in topics:
        with TopicReader(connect(topic), topic) as reader:
            yield from reader.existing()


def logged(record: Record) -> Logged:
    """A record, identified by its raw headers and not by the codec under test."""
    return Logged(
        position=Position(record.topic, record.partition, record.offset),
        key=(record.key or b"").decode(errors="replace"),
        identity=_identity(record),
    )


def unpublished(data_dir: Path, services: Iterable[str]) -> int:
    """How many events wait in the outboxes of these services."""
    return sum(_waiting(service_store_url(data_dir, service)) for service in services)


def _waiting(url: str) -> int:
    store = open_store(url)
    try:
        with store.read() as tx:
            if not inspect(tx).has_table(OUTBOX_EVENT.name):
                return 0
            return tx.execute(select(func.count()).select_from(OUTBOX_EVENT)).scalar_one()
    finally:
        store.close()


def read_effects(store: Store) -> list[Effect]:
    """The audit ledger's entries of records, each tenant's in its order; not what audit says itself."""
    table = AUDIT_EVENT.c
    columns = (table.topic, table.partition, table.offset, table.tenant, table.source, table.id)
    with store.read() as tx:
        query = select(*columns).where(table.partition >= 0).order_by(table.tenant, table.seq)
        rows = tx.execute(query).all()
    return [Effect(position=Position(*row[:3]), identity=Identity(*row[3:])) for row in rows]


def audit_claims(store: Store, data_dir: Path) -> tuple[Claim, ...]:
    """That the ledger verifies against its signed checkpoints, all of it, and that nothing was refused."""
    report = verify_store(
        store, checkpoint_files(data_dir), load_verifier(public_key_path(signing_key_path(data_dir)))
    )
    covered = sum(tenant.covered for tenant in report.tenants)
    with store.read() as tx:
        refused = failures.counts(tx)
    return (
        Claim(
            name="the audit ledger verifies",
            holds=report.ok,
            detail=f"{report.entries:,} entries, {report.finding_count:,} findings",
            examples=tuple(str(finding) for finding in report.findings[:5]),
        ),
        Claim(
            name="every entry of the audit ledger is under a signed checkpoint",
            holds=covered == report.entries,
            detail=f"{covered:,} of {report.entries:,}",
        ),
        Claim(
            name="nothing is in the failure ledger",
            holds=not refused,
            detail=f"{sum(refused.values()):,} rows",
            examples=tuple(f"{reason} ({status}): {number}" for (status, reason), number in refused.items()),
        ),
    )


def open_audit_store(data_dir: Path) -> Store:
    return open_store(service_store_url(data_dir, AUDIT))


def _position(delivery: Delivery) -> Position | None:
    outcome = delivery.outcome
    if not isinstance(outcome, Delivered):
        return None
    return Position(outcome.topic, outcome.partition, outcome.offset)


def _identity(record: Record) -> Identity:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return Identity(headers.get("ce_tenantid", ""), headers.get("ce_source", ""), headers.get("ce_id", ""))
