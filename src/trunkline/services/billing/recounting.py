"""Counts stored facts again, beside the numbers; compares; and puts the new numbers in their place.

That is how a new version of a meter reaches usage that was counted before it was known, and how anybody can
check that the numbers are what the facts come to. Closed months are compared and never changed.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec
from sqlalchemy import Connection, delete, select

from trunkline.client import failpoints
from trunkline.services.billing import aggregates, facts, metering, periods, quotas
from trunkline.services.billing.aggregates import Kept
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import ZERO
from trunkline.services.billing.metering import NOTHING, Key, Line, Total
from trunkline.services.billing.periods import PeriodKey
from trunkline.services.billing.tables import PERIOD, USAGE_AGG, USAGE_UNIQUE


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A number that is not what the facts come to."""

    tenant: str
    period: str
    meter: str
    group: str
    stored: Decimal
    counted: Decimal


def months(
    tx: Connection, *, tenant: str | None = None, open_only: bool = False, since: str | None = None
) -> list[PeriodKey]:
    """The months that have usage, of one tenant or all, from one on or all."""
    table = PERIOD.c
    query = select(table.tenant, table.period).order_by(table.tenant, table.period)
    if tenant is not None:
        query = query.where(table.tenant == tenant)
    if open_only:
        query = query.where(table.closed_us.is_(None))
    if since is not None:
        query = query.where(table.period >= since)
    return [(row.tenant, row.period) for row in tx.execute(query)]


def is_open(tx: Connection, month: PeriodKey) -> bool:
    """Whether the month has usage and was not closed."""
    state = periods.read(tx, [month]).get(month)
    return state is not None and state.closed_us is None


def compare(tx: Connection, books: Books, month: PeriodKey, codes: Iterable[str]) -> list[Difference]:
    """Where the numbers of these meters are not what the month's facts come to."""
    stored, counted, _ = _both(tx, books, month, codes)
    return _differences(stored, counted)


def recount(tx: Connection, books: Books, month: PeriodKey, codes: Iterable[str]) -> list[Difference]:
    """Put what the facts come to in place of the numbers, and compare with the limits; returns what changed.

    Called under the lock of the tenant, for an open month.
    """
    codes = list(codes)
    stored, counted, lines = _both(tx, books, month, codes)
    found = _differences(stored, counted)
    if not found:
        return []
    tenant, period = month
    for table in (USAGE_AGG, USAGE_UNIQUE):
        tx.execute(
            delete(table).where(table.c.tenant == tenant, table.c.period == period, table.c.meter.in_(codes))
        )
    aggregates.join(tx, lines)
    quota_of = {key: kept.quota for key, kept in stored.items()}
    aggregates.write(tx, {key: Kept(total, quota_of.get(key)) for key, total in counted.items()})
    quotas.reassess(tx, books, [tenant], period=period)
    failpoints.reach("billing.recounted")
    return found


def _both(
    tx: Connection, books: Books, month: PeriodKey, codes: Iterable[str]
) -> tuple[dict[Key, Kept], dict[Key, Total], dict[Key, Line]]:
    tenant, period = month
    wanted = frozenset(codes)
    types = sorted({one.event_type for one in books.meters.versions if one.code in wanted})
    measured = metering.measure(facts.of_period(tx, tenant=tenant, period=period, types=types), books.meters)
    lines = {key: line for key, line in measured.items() if key[2] in wanted}
    counted = {key: metering.add(NOTHING, line, _members(line)) for key, line in lines.items()}
    return _stored(tx, month, wanted), counted, lines


def _stored(tx: Connection, month: PeriodKey, codes: Iterable[str]) -> dict[Key, Kept]:
    tenant, period = month
    table = USAGE_AGG.c
    query = select(
        table.meter, table.grouping, table.value, table.events, table.newest_us, table.latest, table.quota
    ).where(table.tenant == tenant, table.period == period, table.meter.in_(sorted(codes)))
    return {
        (tenant, period, row.meter, row.grouping): Kept(
            Total(row.value, row.events, row.newest_us, row.latest), row.quota
        )
        for row in tx.execute(query)
    }


def _differences(stored: dict[Key, Kept], counted: dict[Key, Total]) -> list[Difference]:
    found = []
    for key in sorted(stored.keys() | counted.keys()):
        before = stored[key].total if key in stored else None
        after = counted.get(key)
        if before != after:
            tenant, period, meter, group = key
            found.append(
                Difference(
                    tenant=tenant,
                    period=period,
                    meter=meter,
                    group=group,
                    stored=ZERO if before is None else before.value,
                    counted=ZERO if after is None else after.value,
                )
            )
    return found


def _members(line: Line) -> Iterable[str]:
    return metering.members(line) if line.version.aggregation == "unique" else ()
