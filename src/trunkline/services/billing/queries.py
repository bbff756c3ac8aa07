"""What can be asked of billing. Reads only; the answers are plain values ready for JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import ColumnElement, Connection, select, tuple_

from trunkline.services.billing.bills import bill
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import EXACT, plain
from trunkline.services.billing.metering import WHOLE
from trunkline.services.billing.meters import FOR_EVER
from trunkline.services.billing.months import bounds, from_us
from trunkline.services.billing.tables import (
    THRESHOLD_STATE,
    USAGE_AGG,
)

Place: TypeAlias = tuple[str, str, str]
"""Period, meter and group: the order in which usage is listed."""


class Number(NamedTuple):
    """One number as it is stored. `group` is the text of a JSON object, empty for the whole of the meter."""

    tenant: str
    meter: str
    period: str
    group: str
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used of a meter in a month; `group` is empty for the whole of the meter.

    Quantities are exact decimal texts.
    """

    meter: str
    period: str
    group: Mapping[str, str | int | bool]
    quantity: str
    unit: str
    events: int

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return (self.period, self.meter, group_text(self.group))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was used of a meter in a month, against what may be.

    `billed` is less than `used` where usage came too late and is billed in another month, and more where
    this month bears such. `told` are the percentages of the limit that the tenant was told of, and
    `recovered` those of them that usage is below now, after a correction of a meter or under a new limit.
    `fresh_to` is the time of the newest event that counted.
    """

    meter: str
    period: str
    used: str
    billed: str
    unit: str
    limit: str | None
    percent: str | None
    exceeded: bool
    told: tuple[int, ...]
    recovered: tuple[int, ...]
    fresh_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """One version of a meter; `effective_from` is None for one that always was in force."""

    code: str
    version: int
    event_type: str
    aggregation: str
    value: tuple[str, ...]
    factor: str
    unit: str
    group_by: tuple[str, ...]
    effective_from: datetime | None


def totals(tx: Connection) -> list[Number]:
    """Every number of the store: whole meters, with the group "", and each of their groups."""
    table = USAGE_AGG.c
    query = select(table.tenant, table.meter, table.period, table.grouping, table.value).order_by(
        table.tenant, table.meter, table.period, table.grouping
    )
    return [Number(*row) for row in tx.execute(query)]


def usage(
    tx: Connection,
    books: Books,
    *,
    tenant: str,
    period: str | None = None,
    meter: str | None = None,
    after: Place | None = None,
    limit: int | None = None,
) -> list[Usage]:
    """What was used, by month and meter, whole meters before their groups. Raises `InvalidInput`."""
    table = USAGE_AGG.c
    conditions: list[ColumnElement[bool]] = [table.tenant == tenant]
    if period is not None:
        bounds(period)
        conditions.append(table.period == period)
    if meter is not None:
        conditions.append(table.meter == books.meters.find(meter).code)
    order = (table.period, table.meter, table.grouping)
    if after is not None:
        conditions.append(tuple_(*order) > tuple_(*after))
    query = (
        select(table.meter, table.period, table.grouping, table.value, table.events)
        .where(*conditions)
        .order_by(*order)
        .limit(limit)
    )
    units = {code: version.unit for code, version in books.meters.newest().items()}
    return [
        Usage(
            meter=row.meter,
            period=row.period,
            group=group_view(row.grouping),
            quantity=plain(row.value),
            unit=units.get(row.meter, ""),
            events=row.events,
        )
        for row in tx.execute(query)
    ]


def standing(tx: Connection, books: Books, *, tenant: str, period: str) -> list[Standing]:
    """Each meter of a month against its limit, those without usage but with a limit too."""
    bounds(period)
    table = USAGE_AGG.c
    query = select(table.meter, table.value, table.newest_us).where(
        table.tenant == tenant, table.period == period, table.grouping == WHOLE
    )
    used: dict[str, Decimal] = {}
    newest: dict[str, datetime] = {}
    for code, value, newest_us in tx.execute(query):
        used[code], newest[code] = value, from_us(newest_us)
    owed = bill(tx, books, tenant=tenant, period=period)
    billed = owed.totals()
    told = _told(tx, tenant, period)
    found = []
    for code, version in sorted(books.meters.newest().items()):
        limit = books.terms.limit(tenant, code, owed.tier)
        if code not in used and limit is None:
            continue
        quantity = used.get(code, Decimal(0))
        reached = set() if limit is None else set(limit.reached(quantity))
        levels = tuple(sorted(level for level in told.get(code, ()) if level))
        found.append(
            Standing(
                meter=code,
                period=period,
                used=plain(quantity),
                billed=plain(billed.get(code, Decimal(0))),
                unit=version.unit,
                limit=None if limit is None else plain(limit.limit),
                percent=None if limit is None else _percent(quantity, limit.limit),
                exceeded=limit is not None and quantity > limit.limit,
                told=levels,
                recovered=tuple(level for level in levels if level not in reached),
                fresh_to=newest.get(code),
            )
        )
    return found


def group_view(text: str) -> Mapping[str, str | int | bool]:
    """A group as what it stands for."""
    return msgspec.json.decode(text, type=dict[str, str | int | bool]) if text else {}


def group_text(group: Mapping[str, str | int | bool]) -> str:
    """A group as it is stored."""
    return msgspec.json.encode(group, order="deterministic").decode() if group else WHOLE


def meters(books: Books) -> list[MeterView]:
    """All versions of all meters."""
    return [
        MeterView(
            code=one.code,
            version=one.version,
            event_type=one.event_type,
            aggregation=one.aggregation,
            value=one.values,
            factor=plain(one.factor),
            unit=one.unit,
            group_by=one.group_by,
            effective_from=None if one.from_us <= -FOR_EVER else from_us(one.from_us),
        )
        for one in books.meters.versions
    ]


def _told(tx: Connection, tenant: str, period: str) -> dict[str, list[int]]:
    table = THRESHOLD_STATE.c
    query = select(table.meter, table.level).where(table.tenant == tenant, table.period == period)
    found: dict[str, list[int]] = {}
    for meter, level in tx.execute(query):
        found.setdefault(meter, []).append(level)
    return found


def _percent(used: Decimal, limit: Decimal) -> str | None:
    """With one digit behind the point, rounded down: 100.0 is not reached before it is."""
    if limit == 0:
        return None
    return f"{EXACT.divide_int(EXACT.multiply(used, Decimal(1_000)), limit) / 10:.1f}"
