"""What billing has on record of a tenant: its months, corrections, and what is in quarantine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from trunkline.services.billing import closing, plans
from trunkline.services.billing.exact import plain
from trunkline.services.billing.months import bounds, from_us
from trunkline.services.billing.plans import Stretch
from trunkline.services.billing.queries import group_view
from trunkline.services.billing.tables import CORRECTION, PERIOD, QUARANTINE

PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month of a tenant. `blocked_by` counts failed events that keep it from being closed."""

    period: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    digest: str | None
    tier: str | None
    blocked_by: int
    stretches: tuple[Stretch, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Usage of a closed month that is billed in another one, and the event that it comes from."""

    number: int
    meter: str
    period: str
    booked_in: str
    group: Mapping[str, str | int | bool]
    delta: str
    event_source: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """An event in the quarantine."""

    number: int
    tenant: str
    id: str
    source: str
    type: str
    time: datetime
    arrived_at: datetime
    reason: str
    state: str
    note: str | None


def months(tx: Connection, *, service: str, tenant: str) -> list[Month]:
    """The months of a tenant, the newest first."""
    table = PERIOD.c
    known = plans.read(tx, [tenant])
    blocked = closing.open_failures(tx, service=service, tenant=tenant)
    rows = tx.execute(select(PERIOD).where(table.tenant == tenant).order_by(table.period.desc()))
    return [
        Month(
            period=row.period,
            state="open" if row.closed_us is None else "closed",
            opened_at=from_us(row.opened_us),
            closed_at=None if row.closed_us is None else from_us(row.closed_us),
            digest=row.digest,
            tier=known.tier(tenant, row.period),
            blocked_by=blocked if row.closed_us is None else 0,
            stretches=tuple(known.stretches(tenant, row.period)),
        )
        for row in rows
    ]


def corrections(
    tx: Connection, *, tenant: str, period: str | None = None, after: int = 0, limit: int = 100
) -> list[Correction]:
    """Corrections of a month or booked in it, or all, in the order in which they were recorded."""
    table = CORRECTION.c
    query = select(CORRECTION).where(table.tenant == tenant, table.seq > after)
    if period is not None:
        bounds(period)
        query = query.where((table.period == period) | (table.booked_in == period))
    return [
        Correction(
            number=row.seq,
            meter=row.meter,
            period=row.period,
            booked_in=row.booked_in,
            group=group_view(row.grouping),
            delta=plain(row.delta),
            event_source=row.cause_source,
            event_id=row.cause_id,
        )
        for row in tx.execute(query.order_by(table.seq).limit(limit))
    ]


def quarantined(
    tx: Connection,
    *,
    tenant: str | None = None,
    state: str | None = "waiting",
    after: int = 0,
    limit: int = 100,
) -> list[Doubted]:
    """What is in the quarantine, of one tenant or all, in the order in which it came."""
    table = QUARANTINE.c
    query = select(QUARANTINE).where(table.seq > after)
    if tenant is not None:
        query = query.where(table.tenant == tenant)
    if state is not None:
        query = query.where(table.state == state)
    return [
        Doubted(
            number=row.seq,
            tenant=row.tenant,
            id=row.id,
            source=row.source,
            type=row.type,
            time=from_us(row.time_us),
            arrived_at=from_us(row.arrived_us),
            reason=row.reason,
            state=row.state,
            note=row.note,
        )
        for row in tx.execute(query.order_by(table.seq).limit(limit))
    ]
