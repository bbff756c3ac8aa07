"""Tenants whose later events follow a failed one into the ledger, so that their order survives the failure.

Theory of operation. A row in `parked_tenant` says that a tenant is parked for a group and a topic:

    flows ──an event fails, park──> parked ──its last open failure is settled──> flows
                                     │  ^
                                     └──┘ later events join the ledger, reason `parked`

- Only a consumer parks, and only in the transaction that also writes the failure.
- Whoever settles a failure releases the tenant, if nothing of it is open any more, in the same transaction.
- A consumer reads the rows under a share lock and a settler under an exclusive one. Either the consumer's
  batch comes first, and the settler finds the events it parked still open, or the settler does, and the
  batch finds the tenant flowing, with everything before it applied. On SQLite writers take turns anyway.
- A parked tenant stays parked whatever the consumer's options say: those decide about new failures only.

The tenant is the record's key. A record that cannot be decoded has one too, and is as much a gap in it.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.client.store.tables import FAILURE, PARKED_TENANT
from trunkline.codec.record import Record

FEW: Final = 100
"""So many parked tenants are read whole with every batch; with more, the batch's own are looked up."""

_T: Final = PARKED_TENANT.c
_HERE: Final = (_T.consumer_group == bindparam("lane_group")) & (_T.topic == bindparam("lane_topic"))
_SOME: Final = select(_T.tenantid).where(_HERE).limit(FEW + 1)
_OF_THESE: Final = (
    select(_T.tenantid)
    .where(_HERE, _T.tenantid.in_(bindparam("tenants", expanding=True)))
    .order_by(_T.tenantid)  # Everybody locks in the same order.
    .with_for_update(read=True)
)
_OPEN: Final = "open"


def tenant_of(record: Record) -> str | None:
    """Whose place in the order a record takes: its key's, if that is a tenant id."""
    if record.key is None:
        return None
    try:
        key = record.key.decode("ascii")
    except UnicodeDecodeError:
        return None
    return key if TENANT_PATTERN.fullmatch(key) else None


def parked(tx: Connection, *, group: str, topic: str, tenants: Collection[str]) -> frozenset[str]:
    """Those of these tenants that are parked. They stay so until this transaction ends.

    One short query where nothing is parked.
    """
    here = {"lane_group": group, "lane_topic": topic}
    some = tx.execute(_SOME, here).scalars().all()
    wanted = set(tenants) if len(some) > FEW else set(tenants).intersection(some)
    if not wanted:
        return frozenset()
    return frozenset(tx.execute(_OF_THESE, {**here, "tenants": sorted(wanted)}).scalars())


def park(tx: Connection, *, group: str, topic: str, tenants: Collection[str]) -> None:
    """Park tenants, in the transaction that puts their failure into the ledger; fine if they are parked."""
    rows = [{"consumer_group": group, "topic": topic, "tenantid": tenant} for tenant in sorted(tenants)]
    if rows:
        insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
        tx.execute(insert(PARKED_TENANT).on_conflict_do_nothing(), rows)


def blocking(tx: Connection, failure_id: int) -> list[int]:
    """The open failures that come before this one in a parked tenant's order, the first one first.

    As long as there are some, this one must not be replayed. Empty for a tenant that is not parked. No
    event of the tenant joins or passes until the transaction ends.
    """
    place = _lock(tx, failure_id)
    if place is None:
        return []
    query = select(FAILURE.c.id).where(_open_of(*place), FAILURE.c.id < failure_id)
    return list(tx.execute(query.order_by(FAILURE.c.id)).scalars())


def open_failures(tx: Connection, *, group: str, topic: str, tenant: str) -> list[int]:
    """The ids of a tenant's open failures, in the order of its events."""
    query = select(FAILURE.c.id).where(_open_of(group, topic, tenant)).order_by(FAILURE.c.id)
    return list(tx.execute(query).scalars())


def release(tx: Connection, failure_id: int) -> bool:
    """This failure was settled in this transaction: let its tenant flow if nothing of it is open now.

    Returns whether the tenant was parked and flows again.
    """
    place = _lock(tx, failure_id)
    if place is None or tx.execute(select(FAILURE.c.id).where(_open_of(*place)).limit(1)).first():
        return False
    group, topic, tenant = place
    tx.execute(
        delete(PARKED_TENANT).where(
            _T.consumer_group == group,
            _T.topic == topic,
            _T.tenantid == tenant,
        )
    )
    return True


def _lock(tx: Connection, failure_id: int) -> tuple[str, str, str] | None:
    """Group, topic and tenant of a failure, locked if parked; None if not, or if its row is gone."""
    own = select(FAILURE.c.consumer_group, FAILURE.c.topic, FAILURE.c.tenantid)
    found = tx.execute(own.where(FAILURE.c.id == failure_id)).one_or_none()
    if found is None or found.tenantid is None:
        return None
    group, topic, tenant = found
    row = select(_T.tenantid).where(_T.consumer_group == group, _T.topic == topic, _T.tenantid == tenant)
    return None if tx.execute(row.with_for_update()).first() is None else (group, topic, tenant)


def _open_of(group: str, topic: str, tenant: str) -> ColumnElement[bool]:
    return (
        (FAILURE.c.consumer_group == group)
        & (FAILURE.c.topic == topic)
        & (FAILURE.c.tenantid == tenant)
        & (FAILURE.c.status == _OPEN)
    )
