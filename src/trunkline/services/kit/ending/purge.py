"""What the client's own tables hold of a tenant, and may not after its end.

The failure ledger and the outbox keep whole events, so they go. The marks of processed events stay: they are
ids and hashes, and without them a publisher that repeats itself would be taken at its word. An outbox row of
the tenant's own life stays, too: it is what tells the others.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, delete, select

from trunkline.catalogue.events.tenant import TOPIC as LIFECYCLE_TOPIC
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store.tables import FAILURE, PARKED_TENANT
from trunkline.codec.record import Record

_F: Final = FAILURE.c
_O: Final = OUTBOX_EVENT.c


def purge(tx: Connection, tenant: str, *, publishes: bool) -> dict[str, int]:
    """Delete failures, parking and unpublished events of the tenant; how many rows of which table."""
    deleted = {
        FAILURE.name: tx.execute(delete(FAILURE).where(_F.tenantid == tenant)).rowcount,
        PARKED_TENANT.name: tx.execute(
            delete(PARKED_TENANT).where(PARKED_TENANT.c.tenantid == tenant)
        ).rowcount,
    }
    if publishes:
        unpublished = (_O.aggregateid == tenant, _O.aggregatetype != LIFECYCLE_TOPIC)
        deleted[OUTBOX_EVENT.name] = tx.execute(delete(OUTBOX_EVENT).where(*unpublished)).rowcount
    return deleted


def forget_failures(tx: Connection, records: Iterable[Record]) -> None:
    """Take records of ended tenants, which were just refused, out of the failure ledger again."""
    for record in records:
        at = (_F.topic == record.topic, _F.partition == record.partition, _F.offset == record.offset)
        found = tx.execute(select(_F.id).where(*at, _F.timestamp_ms == record.timestamp_ms)).scalars().all()
        tx.execute(delete(FAILURE).where(_F.id.in_(found)))
