"""What the service keeps of tenants, and every change of one with its event, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from trunkline.catalogue.events import Event, event_type_of
from trunkline.client.outbox import Outbox
from trunkline.codec.identity import derive_id
from trunkline.errors import InvalidInput
from trunkline.services.kit.ending.ends import from_us, to_us
from trunkline.services.kit.inserting import insert_new
from trunkline.services.kit.keys import KeyRing
from trunkline.services.tenant.lifecycle import State, StepRefused
from trunkline.services.tenant.tables import TENANT, TENANT_CHANGE

EMAIL_PLACE: Final = "tenant.admin_email"
PAGE_MAX: Final = 1_000

_T: Final = TENANT.c
_C: Final = TENANT_CHANGE.c


class UnknownTenant(InvalidInput):
    """There is no tenant of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant as it is. `version` counts its changes; `delete_at` is when its grace period is over."""

    tenant: str
    version: int
    state: State
    tier: str
    region: str
    display_name: str | None
    created_at: datetime
    changed_at: datetime
    activated_at: datetime | None
    delete_at: datetime | None
    deleted_at: datetime | None
    deletion_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a tenant, and the event that tells of it."""

    version: int
    type: str
    event_id: str
    state: State
    actor_id: str | None
    at: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step came to; `changed` is False where the tenant was there already."""

    tenant: Tenant
    changed: bool


def find(tx: Connection, tenant: str, *, lock: bool = False) -> Tenant | None:
    """The tenant of this name; with `lock` nobody else changes it until the transaction ends."""
    query = select(TENANT).where(_T.tenant == tenant)
    row = tx.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else _tenant(row)


def get(tx: Connection, tenant: str, *, lock: bool = False) -> Tenant:
    """As `find`. Raises `UnknownTenant` where there is none."""
    found = find(tx, tenant, lock=lock)
    if found is None:
        raise UnknownTenant(f"there is no tenant {tenant}; `trunkline tenant list` shows those there are")
    return found


def listed(
    tx: Connection, *, state: State | None = None, after: str = "", limit: int = PAGE_MAX
) -> list[Tenant]:
    """Tenants behind the one named `after`, by name."""
    query = select(TENANT).where(_T.tenant > after).order_by(_T.tenant).limit(limit)
    if state is not None:
        query = query.where(_T.state == state)
    return [_tenant(row) for row in tx.execute(query).mappings()]


def history(tx: Connection, tenant: str, *, after: int = 0, limit: int = PAGE_MAX) -> list[Change]:
    """The changes of a tenant behind this version, in order."""
    query = select(TENANT_CHANGE).where(_C.tenant == tenant, _C.version > after)
    return [
        Change(
            version=row.version,
            type=row.type,
            event_id=row.event_id,
            state=State(row.state),
            actor_id=row.actor_id,
            at=from_us(row.at_us),
            note=row.note,
        )
        for row in tx.execute(query.order_by(_C.version).limit(limit))
    ]


def due(tx: Connection, now: datetime, *, limit: int) -> list[str]:
    """Tenants whose grace period is over, the longest first, but none that somebody else has in hand."""
    query = (
        select(_T.tenant)
        .where(_T.state == State.PENDING_DELETION, _T.delete_us <= to_us(now))
        .order_by(_T.delete_us, _T.tenant)
        .limit(limit)
    )
    return list(tx.execute(query.with_for_update(skip_locked=True)).scalars())


def admin_email(tx: Connection, tenant: str, keys: KeyRing) -> str | None:
    """The address of the tenant's administrator; None where there is none, or none any more."""
    sealed = tx.execute(select(_T.admin_email).where(_T.tenant == tenant)).scalar()
    found = None if sealed is None else keys.unseal(tenant, sealed, place=EMAIL_PLACE)
    return None if found is None else found.decode()


def add(
    tx: Connection, tenant: str, values: Mapping[str, Any], event: Event, recorder: "Recorder"
) -> Tenant | None:
    """A new tenant; None where there is one of this name. Raises what `Outbox.emit` raises."""
    at_us = to_us(recorder.now)
    row = {"tenant": tenant, "version": 1, "created_us": at_us, "changed_us": at_us, **values}
    if not insert_new(tx, TENANT, row):
        return None
    recorder.record(tx, tenant, 1, State(values["state"]), event)
    return get(tx, tenant)


def change(
    tx: Connection, before: Tenant, values: Mapping[str, Any], event: Event, recorder: "Recorder"
) -> Tenant:
    """The next version of a tenant. Raises what `Outbox.emit` raises, and `StepRefused` for a lost race."""
    version = before.version + 1
    moved = tx.execute(
        update(TENANT)
        .where(_T.tenant == before.tenant, _T.version == before.version)
        .values(version=version, changed_us=to_us(recorder.now), **values)
    )
    if moved.rowcount == 0:
        raise StepRefused(f"tenant {before.tenant} was changed meanwhile; look at it and try again")
    recorder.record(tx, before.tenant, version, State(values.get("state", before.state)), event)
    return get(tx, before.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes a change down and tells of it."""

    outbox: Outbox
    now: datetime
    note: str | None = None

    def record(self, tx: Connection, tenant: str, version: int, state: State, event: Event) -> None:
        """The change's row and its event, whose id follows from tenant and version."""
        id_ = event_id(tenant, version)
        self.outbox.emit(tx, event, tenant=tenant, id=id_, time=self.now, subject=tenant)
        row = {
            "tenant": tenant,
            "version": version,
            "type": event_type_of(event),
            "event_id": id_,
            "state": state,
            "actor_id": getattr(event, "actor_id", None),
            "at_us": to_us(self.now),
            "note": self.note,
        }
        tx.execute(insert(TENANT_CHANGE), row)


def event_id(tenant: str, version: int) -> str:
    """The id of the event that tells of this version of a tenant."""
    return derive_id("tenant.lifecycle", tenant, str(version))


def unannounced(tx: Connection, *, limit: int) -> list[Tenant]:
    """Deleted tenants whose end does not stand in the topic of ends yet."""
    query = select(TENANT).where(_T.state == State.DELETED, _T.announced_us.is_(None))
    return [_tenant(row) for row in tx.execute(query.order_by(_T.tenant).limit(limit)).mappings()]


def mark_announced(tx: Connection, tenants: Sequence[str], now: datetime) -> None:
    """Their ends stand in the topic."""
    tx.execute(update(TENANT).where(_T.tenant.in_(tenants)).values(announced_us=to_us(now)))


def announced(tx: Connection) -> frozenset[str]:
    """Tenants whose end stood in the topic once."""
    return frozenset(tx.execute(select(_T.tenant).where(_T.announced_us.is_not(None))).scalars())


def mark_unannounced(tx: Connection, tenants: Sequence[str]) -> None:
    """The topic has lost their ends."""
    tx.execute(update(TENANT).where(_T.tenant.in_(tenants)).values(announced_us=None))


def _tenant(row: Any) -> Tenant:
    def moment(name: str) -> datetime | None:
        return None if row[name] is None else from_us(row[name])

    return Tenant(
        tenant=row["tenant"],
        version=row["version"],
        state=State(row["state"]),
        tier=row["tier"],
        region=row["region"],
        display_name=row["display_name"],
        created_at=from_us(row["created_us"]),
        changed_at=from_us(row["changed_us"]),
        activated_at=moment("activated_us"),
        delete_at=moment("delete_us"),
        deleted_at=moment("deleted_us"),
        deletion_id=row["deletion_id"],
    )
