"""Which plan a tenant is on, from the events of its life.

A month has one plan: the one of the tier that is in force when the month ends, as far as is known. So a
tenant that moves up in the middle of a month has the higher limit for all of it, from the moment that billing
hears of the move, and the order in which topics are read changes nothing. Usage older than the first known
tier goes by that one. How long each tier was in force, and when the tenant was suspended, is kept for whoever
prorates.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events.tenant import TenantActivated, TenantCreated, TenantTierChanged
from trunkline.client.handler import Received
from trunkline.services.billing.months import bounds, end_us, from_us, to_us
from trunkline.services.billing.sql import values_rows

KINDS: Final[Mapping[str, str]] = {
    "tenant.created.v1": "created",
    "tenant.activated.v1": "activated",
    "tenant.tier_changed.v1": "tier_changed",
    "tenant.suspended.v1": "suspended",
    "tenant.reactivated.v1": "reactivated",
    "tenant.deletion_scheduled.v1": "deletion_scheduled",
    "tenant.deleted.v1": "deleted",
}
"""The events that change what a tenant is billed for, by their type."""

_BILLED_FROM: Final = frozenset({"activated", "reactivated"})
_BILLED_UNTIL: Final = frozenset({"suspended", "deletion_scheduled", "deleted"})

_HEAD: Final = "INSERT INTO tenant_change (tenant, source, id, at_us, kind, tier) VALUES "
_TAIL: Final = " ON CONFLICT DO NOTHING"
_READ_HEAD: Final = "SELECT found.tenant, found.at_us, found.seq, found.kind, found.tier FROM (VALUES "
_READ_TAIL: Final = ") AS wanted CROSS JOIN tenant_change AS found WHERE found.tenant = wanted.column1"


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a tenant's life, from when it counts."""

    at_us: int
    kind: str
    tier: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a month in which nothing changed: what proration starts from.

    `tier` is None before the first is known; `billed` says whether the tenant was active.
    """

    begin: datetime
    end: datetime
    tier: str | None
    billed: bool


class Plans:
    """The lives of some tenants."""

    def __init__(self, changes: Mapping[str, Sequence[Change]]) -> None:
        self._changes = changes

    def tier(self, tenant: str, period: str) -> str | None:
        """The tier whose plan holds for a month; None while no event has told of one."""
        known = [change for change in self._changes.get(tenant, ()) if change.tier is not None]
        until = end_us(period)
        before = [change for change in known if change.at_us < until]
        return (before[-1] if before else known[0]).tier if known else None

    def stretches(self, tenant: str, period: str) -> list[Stretch]:
        """A month cut where tier or activity of a tenant change."""
        begin, end = bounds(period)
        tier: str | None = None
        billed = False
        found: list[Stretch] = []
        for change in self._changes.get(tenant, ()):
            at = min(max(from_us(change.at_us), begin), end)
            if at > begin:
                found.append(Stretch(begin=begin, end=at, tier=tier, billed=billed))
                begin = at
            tier = change.tier or tier
            billed = change.kind in _BILLED_FROM or (billed and change.kind not in _BILLED_UNTIL)
        if begin < end:
            found.append(Stretch(begin=begin, end=end, tier=tier, billed=billed))
        return _joined(found)


def record(tx: Connection, events: Sequence[Received]) -> set[str]:
    """Keep what changes a plan; returns the tenants whose plan may have changed."""
    rows = [
        (event.tenantid, event.source, event.id, _at_us(received), KINDS[event.type], _tier(received))
        for received in events
        if (event := received.event).type in KINDS
    ]
    values_rows(tx, _HEAD, _TAIL, rows)
    return {row[0] for row in rows}


def read(tx: Connection, tenants: Collection[str]) -> Plans:
    """What is known of the lives of these tenants."""
    found: defaultdict[str, list[Change]] = defaultdict(list)
    rows = values_rows(tx, _READ_HEAD, _READ_TAIL, ((tenant,) for tenant in set(tenants)))
    for tenant, at_us, _, kind, tier in sorted(rows, key=itemgetter(0, 1, 2)):
        found[tenant].append(Change(at_us, kind, tier))
    return Plans(found)


def _at_us(received: Received) -> int:
    data = received.event.data
    return to_us(data.effective_at if isinstance(data, TenantTierChanged) else received.event.time)


def _tier(received: Received) -> str | None:
    data = received.event.data
    return data.tier if isinstance(data, (TenantCreated, TenantActivated, TenantTierChanged)) else None


def _joined(stretches: Sequence[Stretch]) -> list[Stretch]:
    found: list[Stretch] = []
    for one in stretches:
        if found and (found[-1].tier, found[-1].billed) == (one.tier, one.billed):
            one = Stretch(begin=found[-1].begin, end=one.end, tier=one.tier, billed=one.billed)  # noqa: PLW2901
            found.pop()
        found.append(one)
    return found
