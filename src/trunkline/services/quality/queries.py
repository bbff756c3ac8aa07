"""What can be asked of data quality. Reads only; answers are plain values, ready for JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, exists, func, or_, select, tuple_

from trunkline.errors import NotFound
from trunkline.services.quality.course import SERIES
from trunkline.services.quality.emission import DIMENSIONS, Anomaly
from trunkline.services.quality.facts import from_us
from trunkline.services.quality.lineage import ORIGIN, SCORED, percent_of
from trunkline.services.quality.options import Options
from trunkline.services.quality.statistics import Verdict, judge
from trunkline.services.quality.store import ANOMALY_FIELDS, WINDOW_FIELDS
from trunkline.services.quality.tables import (
    QUALITY_ANOMALY,
    QUALITY_ASSET,
    QUALITY_CHECK,
    QUALITY_RESULT,
    QUALITY_WINDOW,
)
from trunkline.services.quality.windows import MINUTE_US, Window, before, history_max

EXPLAINED_WINDOWS: Final = 28
"""So many windows are shown with an explanation."""


@dataclass(frozen=True, slots=True)
class AssetView:
    """An asset. `load_period_minutes` is learnt; `load_due_at` is when the next load is overdue."""

    asset: str
    first_seen_at: datetime
    last_read_at: datetime | None
    last_write_at: datetime | None
    reads: int
    writes: int
    failures: int
    load_period_minutes: float | None
    load_due_at: datetime | None
    open_anomalies: int


@dataclass(frozen=True, slots=True)
class AnomalyView:
    """Something unusual. It is open while `resolved_at` is None; `windows` were out of range."""

    id: str
    asset: str
    metric: str
    began_at: datetime
    raised_at: datetime
    observed: float
    expected_low: float
    expected_high: float
    score: float
    windows: int
    resolved_at: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check. `support` is how many queries took it for granted, `confidence` their share of all reads."""

    id: str
    asset: str
    kind: str
    params: dict[str, Any]
    dimension: str
    origin: str
    state: str
    support: int
    confidence: float
    decided_by: str | None
    last_passed: bool | None
    last_run_at: datetime | None


@dataclass(frozen=True, slots=True)
class Point:
    """A metric in one window, and what was expected; None where there was too little history."""

    start: datetime
    observed: float
    expected_low: float | None
    expected_high: float | None
    deviations: float | None
    late_events: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an anomaly was raised, in a sentence, with the windows around it, oldest first."""

    anomaly: AnomalyView
    why: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Scores:
    """An asset by dimension, in percent; a dimension nothing is known of is left out."""

    asset: str
    by_dimension: dict[str, int]


def assets(tx: Connection, tenant: str, *, limit: int, after: str | None = None) -> list[AssetView]:
    """The tenant's assets by name, one more than `limit` if there are more; `after` is the last one seen."""
    table = QUALITY_ASSET.c
    anomaly = QUALITY_ANOMALY.c
    number = (
        select(func.count())
        .where(anomaly.tenant == tenant, anomaly.asset == table.asset, anomaly.resolved_us.is_(None))
        .scalar_subquery()
    )
    query = select(QUALITY_ASSET, number.label("open_anomalies")).where(table.tenant == tenant)
    if after is not None:
        query = query.where(table.asset > after)
    rows = tx.execute(query.order_by(table.asset).limit(limit + 1)).mappings()
    return [
        AssetView(
            asset=row["asset"],
            first_seen_at=from_us(row["first_us"]),
            last_read_at=_moment(row["last_read_us"]),
            last_write_at=_moment(row["last_write_us"]),
            reads=row["reads"],
            writes=row["writes"],
            failures=row["failures"],
            load_period_minutes=None if row["period_us"] is None else row["period_us"] / MINUTE_US,
            load_due_at=_moment(row["due_us"]),
            open_anomalies=row["open_anomalies"],
        )
        for row in rows
    ]


def anomalies(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    asset: str | None = None,
    only_open: bool = False,
    after: tuple[int, str] | None = None,
) -> list[AnomalyView]:
    """The tenant's anomalies, newest first; `after` is time (in microseconds) and id of the last one seen."""
    table = QUALITY_ANOMALY.c
    query = select(QUALITY_ANOMALY).where(table.tenant == tenant)
    if asset is not None:
        query = query.where(table.asset == asset)
    if only_open:
        query = query.where(table.resolved_us.is_(None))
    if after is not None:
        query = query.where(tuple_(table.raised_us, table.id) < after)
    rows = tx.execute(query.order_by(table.raised_us.desc(), table.id.desc()).limit(limit + 1)).mappings()
    return [_anomaly(row) for row in rows]


def checks(
    tx: Connection,
    tenant: str,
    options: Options,
    *,
    limit: int,
    asset: str | None = None,
    state: str | None = None,
    after: tuple[str, str] | None = None,
) -> list[CheckView]:
    """The tenant's checks by asset and id; `after` is both of the last one seen."""
    table, reads, newest = QUALITY_CHECK.c, QUALITY_ASSET.c, _newest_results(tenant)
    query = (
        select(QUALITY_CHECK, reads.reads, newest.c.passed, newest.c.at_us)
        .select_from(
            QUALITY_CHECK.outerjoin(
                QUALITY_ASSET, (reads.tenant == table.tenant) & (reads.asset == table.asset)
            ).outerjoin(newest, newest.c.check_id == table.id)
        )
        .where(table.tenant == tenant)
        .order_by(table.asset, table.id)
    )
    if asset is not None:
        query = query.where(table.asset == asset)
    found: list[CheckView] = []
    while len(found) <= limit:
        if after is not None:
            query = query.where(tuple_(table.asset, table.id) > after)
        rows = tx.execute(query.limit(limit + 1)).mappings().all()
        views = [_check(row, options) for row in rows]
        found += [view for view in views if state in (None, view.state)]
        if len(rows) <= limit:
            break
        after = (rows[-1]["asset"], rows[-1]["id"])
    return found[: limit + 1]


def scores(tx: Connection, tenant: str, asset: str) -> Scores:
    """How good an asset is: by its checks' newest results, and by its open anomalies.

    Raises `NotFound` for an asset that no query has named, and that has no check and no anomaly.
    """
    if not _is_known(tx, tenant, asset):
        raise NotFound(f"asset {asset}: {tenant} has none; `trunkline quality assets` lists what is watched")
    found: dict[str, int] = {}
    for dimension in SCORED:
        percent = percent_of(tx, tenant, asset, dimension)
        if percent is not None:
            found[dimension] = percent
    query = select(QUALITY_ANOMALY).where(
        QUALITY_ANOMALY.c.tenant == tenant,
        QUALITY_ANOMALY.c.asset == asset,
        QUALITY_ANOMALY.c.resolved_us.is_(None),
    )
    for row in tx.execute(query).mappings():
        anomaly = Anomaly(**{name: row[name] for name in ANOMALY_FIELDS})
        if anomaly.metric in DIMENSIONS:
            found[DIMENSIONS[anomaly.metric]] = anomaly.percent
    return Scores(asset, found)


def _is_known(tx: Connection, tenant: str, asset: str) -> bool:
    holders = (QUALITY_ASSET.c, QUALITY_CHECK.c, QUALITY_ANOMALY.c)
    named = [exists().where(table.tenant == tenant, table.asset == asset) for table in holders]
    return bool(tx.execute(select(or_(*named))).scalar_one())


def explain(tx: Connection, tenant: str, anomaly_id: str, options: Options) -> Explanation:
    """Why an anomaly was raised. Raises `NotFound` for one that there is not."""
    query = select(QUALITY_ANOMALY).where(
        QUALITY_ANOMALY.c.tenant == tenant, QUALITY_ANOMALY.c.id == anomaly_id
    )
    row = tx.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"anomaly {anomaly_id}: {tenant} has none; `trunkline quality anomalies` lists them")
    anomaly = _anomaly(row)
    if anomaly.metric not in SERIES:
        return Explanation(anomaly, _sentence(anomaly, None), ())
    windows = _windows_until(tx, tenant, anomaly.asset, row["began_us"], options)
    points = [_point(window, windows, row["metric"], options) for window in windows[-EXPLAINED_WINDOWS:]]
    shown = [point for point in points if point is not None]
    return Explanation(anomaly, _sentence(anomaly, shown[-1] if shown else None), shown)


def _sentence(anomaly: AnomalyView, point: Point | None) -> str:
    match anomaly.metric:
        case "freshness":
            return (
                f"nothing was written to {anomaly.asset} for {anomaly.observed:g} minutes; "
                f"its loads come at most {anomaly.expected_high:g} minutes apart"
            )
        case "schema":
            return f"the columns of {anomaly.asset} are others than in the window before"
        case _:
            away = (
                ""
                if point is None or point.deviations is None
                else (f", {abs(point.deviations):.1f} robust standard deviations from what is usual")
            )
            return (
                f"{anomaly.metric} of {anomaly.asset} was {anomaly.observed:g}, expected between "
                f"{anomaly.expected_low:g} and {anomaly.expected_high:g}{away}"
            )


def _windows_until(tx: Connection, tenant: str, asset: str, start_us: int, options: Options) -> list[Window]:
    """The closed windows up to one, oldest first, as many as a verdict on the oldest one shown needs."""
    table = QUALITY_WINDOW.c
    query = (
        select(*(table[name] for name in WINDOW_FIELDS))
        .where(
            table.tenant == tenant,
            table.asset == asset,
            table.width_us == options.width_us,
            table.start_us <= start_us,
            table.closed == 1,
        )
        .order_by(table.start_us.desc())
        .limit(history_max(options.width_us) + EXPLAINED_WINDOWS)
    )
    rows = tx.execute(query).mappings().all()
    return [Window(**dict(row) | {"closed": True}) for row in reversed(rows)]


def _point(window: Window, windows: list[Window], metric: Any, options: Options) -> Point | None:
    value = window.value(metric)
    if value is None:
        return None
    threshold = options.threshold_of(window.asset, metric) or options.threshold
    verdict: Verdict | None = judge(metric, window, before(windows, window), threshold)
    return Point(
        start=from_us(window.start_us),
        observed=verdict.observed if verdict else value[0] / value[1],
        expected_low=verdict.low if verdict else None,
        expected_high=verdict.high if verdict else None,
        deviations=verdict.deviations if verdict else None,
        late_events=window.late,
    )


def _newest_results(tenant: str) -> Any:
    table = QUALITY_RESULT.c
    place = func.row_number().over(
        partition_by=table.check_id, order_by=(table.at_us.desc(), table.id.desc())
    )
    ranked = (
        select(table.check_id, table.passed, table.at_us, place.label("place"))
        .where(table.tenant == tenant)
        .subquery()
    )
    return select(ranked).where(ranked.c.place == 1).subquery()


def _check(row: RowMapping, options: Options) -> CheckView:
    reads = row["reads"] or 0
    return CheckView(
        id=row["id"],
        asset=row["asset"],
        kind=row["kind"],
        params=msgspec.json.decode(row["params"]),
        dimension=row["dimension"],
        origin=row["origin"],
        state=_state(row, options),
        support=row["support"],
        confidence=round(row["support"] / reads, 4) if reads else 0.0,
        decided_by=row["decided_by"],
        last_passed=None if row["passed"] is None else bool(row["passed"]),
        last_run_at=_moment(row["at_us"]),
    )


def _state(row: RowMapping, options: Options) -> str:
    """What somebody decided; else active if somebody runs it, or enough queries have confirmed it."""
    if row["decided"] is not None:
        return str(row["decided"])
    confirmed = 0 < options.confirmations <= row["support"]
    return "active" if confirmed or row["origin"] == ORIGIN else "proposed"


def _anomaly(row: RowMapping) -> AnomalyView:
    return AnomalyView(
        id=row["id"],
        asset=row["asset"],
        metric=row["metric"],
        began_at=from_us(row["began_us"]),
        raised_at=from_us(row["raised_us"]),
        observed=row["observed"],
        expected_low=row["low"],
        expected_high=row["high"],
        score=row["score"],
        windows=row["windows"],
        resolved_at=_moment(row["resolved_us"]),
        note=row["note"],
    )


def _moment(at_us: int | None) -> datetime | None:
    return None if at_us is None else from_us(at_us)
