"""Tells of the levels of limits that usage reaches: each of a month once, whatever happens later.

`threshold_state` decides: who inserts the row publishes the event, in the same transaction. Where usage
passes a level in the batch at hand, the fact is found there; where the limit has changed, or became known
only after the usage, it is looked for among the stored facts. So an event names the same fact, the same usage
and has the same id whichever of plan and usage was read first.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection, select

from trunkline.catalogue.events.usage import UsageQuotaExceeded, UsageThresholdReached
from trunkline.codec.identity import derive_id
from trunkline.services.billing import aggregates, facts, plans
from trunkline.services.billing.aggregates import FRESH, Addition, Kept
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import for_driver, plain
from trunkline.services.billing.metering import NOTHING, WHOLE, Key, Total, measure, of_meter, walk
from trunkline.services.billing.months import from_us
from trunkline.services.billing.sql import values_rows
from trunkline.services.billing.tables import ERASED_TENANT, PERIOD, THRESHOLD_STATE, USAGE_AGG
from trunkline.services.billing.thresholds import EXCEEDED, Crossing, Limit, crossings

REACHED: Final = "usage.threshold_reached.v1"
QUOTA_EXCEEDED: Final = "usage.quota_exceeded.v1"

_FIRE_HEAD: Final = (
    "INSERT INTO threshold_state (tenant, period, meter, level, quota, used, reached_us, event_id) VALUES "
)
_FIRE_TAIL: Final = " ON CONFLICT DO NOTHING RETURNING level"


def watch(tx: Connection, books: Books, added: Addition, after: Mapping[Key, Kept]) -> dict[Key, Kept]:
    """Compare what was added with the limits; returns `after` with the limits it was compared with.

    All numbers are of open months. What was added is stored as facts, the numbers need not be.
    """
    whole = aggregates.whole(after)
    known = plans.read(tx, {key[0] for key in whole})
    compared = dict(after)
    for key in whole:
        tenant, period, meter, _ = key
        limit = books.terms.limit(tenant, meter, known.tier(tenant, period))
        then, now = added.kept(key), after[key]
        compared[key] = Kept(now.total, None if limit is None else limit.limit)
        if limit is None:
            continue
        if then is not FRESH and then.quota != limit.limit:
            _look_back(tx, books, key, now.total.value, limit)
            continue
        new = set(limit.reached(now.total.value)) - set(limit.reached(then.total.value))
        if new:
            _fire(tx, books, key, limit, crossings(limit, added.steps(key), new))
    return compared


def reassess(
    tx: Connection, books: Books, tenants: Iterable[str] | None = None, *, period: str | None = None
) -> None:
    """Compare what tenants have used in open months with the limits of now, which may be new.

    All tenants unless given, all their open months unless one is. Called under the locks of the tenants.
    Tenants that were ended are told of nothing: what they had been told of is erased.
    """
    used, state = USAGE_AGG.c, PERIOD.c
    query = (
        select(
            used.tenant,
            used.period,
            used.meter,
            used.value,
            used.events,
            used.newest_us,
            used.latest,
            used.quota,
        )
        .join(PERIOD, (state.tenant == used.tenant) & (state.period == used.period))
        .where(
            used.grouping == WHOLE,
            state.closed_us.is_(None),
            used.tenant.not_in(select(ERASED_TENANT.c.tenant)),
        )
    )
    if tenants is not None:
        query = query.where(used.tenant.in_(sorted(tenants)))
    if period is not None:
        query = query.where(used.period == period)
    rows = tx.execute(query).all()
    known = plans.read(tx, {row.tenant for row in rows})
    changed: dict[Key, Kept] = {}
    for row in rows:
        limit = books.terms.limit(row.tenant, row.meter, known.tier(row.tenant, row.period))
        key: Key = (row.tenant, row.period, row.meter, WHOLE)
        quota = None if limit is None else limit.limit
        if quota != row.quota:
            changed[key] = Kept(Total(row.value, row.events, row.newest_us, row.latest), quota)
        if limit is not None:
            _look_back(tx, books, key, row.value, limit)
    aggregates.write(tx, changed)


def fired(tx: Connection, key: Key) -> set[int]:
    """The levels of a meter that a tenant has been told of in a month."""
    table = THRESHOLD_STATE.c
    tenant, period, meter, _ = key
    query = select(table.level).where(table.tenant == tenant, table.period == period, table.meter == meter)
    return set(tx.execute(query).scalars())


def _look_back(tx: Connection, books: Books, key: Key, used: Decimal, limit: Limit) -> None:
    """Tell of levels that are reached now and were not told of, by the facts that reached them."""
    reached = limit.reached(used)
    due = set(reached) - fired(tx, key) if reached else set()
    if not due:
        return
    tenant, period, meter, _ = key
    types = sorted({one.event_type for one in books.meters.versions if one.code == meter})
    stored = facts.of_period(tx, tenant=tenant, period=period, types=types)
    line = of_meter(measure(stored, books.meters), meter).get(key)
    if line is not None:
        members = set(line.values) if line.version.aggregation == "unique" else ()
        _fire(tx, books, key, limit, crossings(limit, walk(NOTHING, line, members), due))


def _fire(tx: Connection, books: Books, key: Key, limit: Limit, found: Iterable[Crossing]) -> None:
    tenant, period, meter, _ = key
    for crossing in found:
        event_id = _event_id(key, limit, crossing)
        quota, used = for_driver(tx, limit.limit), for_driver(tx, crossing.used)
        row = (tenant, period, meter, crossing.level, quota, used, crossing.fact.time_us, event_id)
        if values_rows(tx, _FIRE_HEAD, _FIRE_TAIL, [row]):
            books.outbox.emit(
                tx,
                _event(books, key, limit, crossing),
                tenant=tenant,
                id=event_id,
                time=from_us(crossing.fact.time_us),
                causationid=crossing.fact.id,
            )


def _event(
    books: Books, key: Key, limit: Limit, crossing: Crossing
) -> UsageThresholdReached | UsageQuotaExceeded:
    _, period, meter, _ = key
    unit = books.meters.find(meter).unit
    used, quota = plain(crossing.used), plain(limit.limit)
    if crossing.level == EXCEEDED:
        return UsageQuotaExceeded(meter=meter, period=period, used=used, limit=quota, unit=unit)
    return UsageThresholdReached(
        meter=meter,
        period=period,
        level_percent=crossing.level,
        used=used,
        limit=quota,
        unit=unit,
        reached_at=from_us(crossing.fact.time_us),
    )


def _event_id(key: Key, limit: Limit, crossing: Crossing) -> str:
    """Everything that the content follows from is in it: one id never comes with two contents."""
    tenant, period, meter, _ = key
    kind = QUOTA_EXCEEDED if crossing.level == EXCEEDED else REACHED
    cause = (crossing.fact.source, crossing.fact.id)
    return derive_id(kind, tenant, meter, period, str(crossing.level), plain(limit.limit), *cause)
