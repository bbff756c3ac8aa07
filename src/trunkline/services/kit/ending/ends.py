"""The end of a tenant in one store: the tombstone, the erasure, and who has to wait for whom.

Theory of operation. A row of `ended_tenant` is the tombstone: from its commit on, nothing of the tenant takes
effect in this store. The transaction that writes it also erases.

    alive ──end_tenant──> erased ──receipt in the log──> answered
                └─held or failed─> ended, data still here ──erase again──> erased

On PostgreSQL whoever makes an effect of a tenant holds the tenant's advisory lock shared, from before it
looks for the tombstone until its commit, and whoever ends the tenant holds it alone. So an effect is
committed before the erasure begins, which then removes it, or finds the tombstone. On SQLite there is one
writer at a time.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select, text, update

from trunkline.client.blame import one_line
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.app import Eraser
from trunkline.services.kit.ending.purge import purge
from trunkline.services.kit.ending.records import End
from trunkline.services.kit.ending.tables import ENDED_TENANT
from trunkline.services.kit.inserting import insert_new

LOCK_SEED: Final = 0x65_6E_64_69_6E_67
"""Keeps the advisory locks of tenants apart from anybody else's; "ending" in ASCII."""

_T: Final = ENDED_TENANT.c
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ENDED: Final = select(_T.tenant).where(_T.tenant.in_(bindparam("tenants", expanding=True)))
_SHARED: Final = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended(tenant, :seed)) "
    "FROM (SELECT unnest(CAST(:tenants AS text[])) AS tenant ORDER BY 1) AS wanted"
)
_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, :seed))")


class Held(TrunklineError):  # noqa: N818 - named for the state of the data
    """Raised by an `Eraser` that may not erase now, such as under a legal hold, before it changes anything.

    The tenant has ended all the same; the erasure is tried again every few seconds.
    """


class TenantEnded(TrunklineError):  # noqa: N818 - named for what happened
    """Nothing can be done for this tenant any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A tenant that has ended, and how far its erasure here is. Times are in UTC.

    `waits_for` says why its data is still here; `erased` is how many rows of which table have gone.
    """

    tenant: str
    deletion_id: str
    deleted_at: datetime
    ended_at: datetime
    waits_for: str | None
    erased_at: datetime | None
    erased: Mapping[str, int]
    keys_destroyed: int | None
    answered_at: datetime | None
    dropped: int

    @property
    def end(self) -> End:
        """What was heard of it."""
        return End(tenant=self.tenant, deletion_id=self.deletion_id, deleted_at=self.deleted_at)


@dataclass(frozen=True, slots=True)
class Erasure:
    """How a service erases. `publishes`: there is an outbox in its store."""

    store: Store
    eraser: Eraser | None
    publishes: bool


def ended_among(tx: Connection, tenants: Collection[str], *, ending: Collection[str] = ()) -> frozenset[str]:
    """Those of these tenants that have ended. None of the others ends before this transaction does.

    `ending` are those that the caller is about to end, and for which it therefore waits until it is alone.
    """
    if tx.dialect.name == "postgresql":
        if ending:
            for tenant in sorted(tenants):
                _lock(tx, tenant, alone=tenant in ending)
        else:
            tx.execute(_SHARED, {"tenants": list(tenants), "seed": LOCK_SEED})
    return frozenset(tx.execute(_ENDED, {"tenants": list(tenants)}).scalars())


def require_not_ended(tx: Connection, tenant: str) -> None:
    """For whatever changes a tenant's data beside the consumer. Raises `TenantEnded`."""
    if ended_among(tx, [tenant]):
        raise TenantEnded(f"tenant {tenant} was deleted; its id is not used again")


def end_tenant(tx: Connection, end: End, erasure: Erasure, *, now: datetime) -> bool:
    """End a tenant in this store and erase what it holds of it; False where it had ended before.

    An eraser that fails or may not erase leaves the tombstone, and `waits_for` says why. Raises as
    `in_savepoint` does when the store is at fault.
    """
    if tx.dialect.name == "postgresql":
        _lock(tx, end.tenant, alone=True)
    row = {
        "tenant": end.tenant,
        "deletion_id": end.deletion_id,
        "deleted_us": to_us(end.deleted_at),
        "ended_us": to_us(now),
        "dropped": 0,
    }
    if not insert_new(tx, ENDED_TENANT, row):
        return False
    erase(tx, end.tenant, erasure, now=now)
    return True


def erase(tx: Connection, tenant: str, erasure: Erasure, *, now: datetime) -> bool:
    """Erase what the store holds of an ended tenant, unless that was done; whether it is erased now."""
    if tx.dialect.name == "postgresql":
        _lock(tx, tenant, alone=True)
    this = _T.tenant == tenant
    if tx.execute(select(_T.erased_us).where(this)).scalar_one() is not None:
        return True
    rows: dict[str, int] = {}

    def work() -> None:
        # First what waits to be told of the tenant: the eraser may have something to tell of its end.
        rows.update(purge(tx, tenant, publishes=erasure.publishes))
        if erasure.eraser is not None:
            for table, count in erasure.eraser.erase(tx, tenant).items():
                rows[table] = rows.get(table, 0) + count

    error = in_savepoint(erasure.store, tx, work)
    if error is not None:
        waits_for = str(error) if isinstance(error, Held) else f"the erasure failed: {one_line(error)}"
        tx.execute(update(ENDED_TENANT).where(this).values(waits_for=waits_for))
        return False
    erased = msgspec.json.encode({name: count for name, count in sorted(rows.items()) if count}).decode()
    changed = {"erased_us": to_us(now), "erased_rows": erased, "waits_for": None}
    tx.execute(update(ENDED_TENANT).where(this).values(**changed))
    return True


def count_dropped(tx: Connection, dropped: Mapping[str, int]) -> None:
    """So many events of ended tenants came and took no effect."""
    for tenant, number in sorted(dropped.items()):
        tx.execute(update(ENDED_TENANT).where(_T.tenant == tenant).values(dropped=_T.dropped + number))


def count_keys(tx: Connection, tenant: str, number: int) -> None:
    """The tenant has so many keys that are going to be destroyed; what was counted first counts."""
    row = update(ENDED_TENANT).where(_T.tenant == tenant, _T.keys_destroyed.is_(None))
    tx.execute(row.values(keys_destroyed=number))


def mark_answered(tx: Connection, tenant: str, *, now: datetime) -> None:
    """The receipt is in the log."""
    row = update(ENDED_TENANT).where(_T.tenant == tenant, _T.answered_us.is_(None))
    tx.execute(row.values(answered_us=to_us(now)))


def all_ended(tx: Connection) -> frozenset[str]:
    """Every tenant that has ended here."""
    return frozenset(tx.execute(select(_T.tenant)).scalars())


def open_ends(tx: Connection) -> list[Ended]:
    """Those for which no receipt is in the log yet, by tenant."""
    return [_ended(row) for row in tx.execute(_select().where(_T.answered_us.is_(None))).mappings()]


def erased_among(tx: Connection, tenants: Collection[str]) -> frozenset[str]:
    """Those of these tenants whose data is gone from this store."""
    query = select(_T.tenant).where(_T.tenant.in_(list(tenants)), _T.erased_us.is_not(None))
    return frozenset(tx.execute(query).scalars())


def erased_tenants(tx: Connection) -> frozenset[str]:
    """Every tenant whose data is gone from this store, so that its key may go, too."""
    return frozenset(tx.execute(select(_T.tenant).where(_T.erased_us.is_not(None))).scalars())


def ended(tx: Connection, *, tenant: str | None = None, after: str = "", limit: int = 1_000) -> list[Ended]:
    """Ended tenants behind the one named `after`, by name, or the one asked for."""
    query = _select().where(_T.tenant > after).limit(limit)
    return [
        _ended(row)
        for row in tx.execute(query if tenant is None else query.where(_T.tenant == tenant)).mappings()
    ]


def counts(tx: Connection) -> dict[str, int]:
    """How many tenants are in which stage (`erasing`, `answering`, `answered`), and events `dropped`."""
    numbers = tx.execute(
        select(
            func.count(), func.count(_T.erased_us), func.count(_T.answered_us), func.sum(_T.dropped)
        ).select_from(ENDED_TENANT)
    ).one()
    everyone, erased, answered, dropped = (int(number or 0) for number in numbers)
    return {
        "erasing": everyone - erased,
        "answering": erased - answered,
        "answered": answered,
        "dropped": dropped,
    }


def to_us(moment: datetime) -> int:
    """Unix time in microseconds."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """The moment of a Unix time in microseconds."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _lock(tx: Connection, tenant: str, *, alone: bool) -> None:
    if alone:
        tx.execute(_ALONE, {"tenant": tenant, "seed": LOCK_SEED})
    else:
        tx.execute(_SHARED, {"tenants": [tenant], "seed": LOCK_SEED})


def _select() -> Any:
    return select(ENDED_TENANT).order_by(_T.tenant)


def _ended(row: Any) -> Ended:
    return Ended(
        tenant=row["tenant"],
        deletion_id=row["deletion_id"],
        deleted_at=from_us(row["deleted_us"]),
        ended_at=from_us(row["ended_us"]),
        waits_for=row["waits_for"],
        erased_at=None if row["erased_us"] is None else from_us(row["erased_us"]),
        erased=msgspec.json.decode(row["erased_rows"] or "{}", type=dict[str, int]),
        keys_destroyed=row["keys_destroyed"],
        answered_at=None if row["answered_us"] is None else from_us(row["answered_us"]),
        dropped=row["dropped"],
    )
