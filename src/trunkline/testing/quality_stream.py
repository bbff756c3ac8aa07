"""Months of loads and queries of TPC-H tables, with faults in known places: what monitors are judged by.

Volumes have a noise of 6 % and fall to 45 % at weekends; queries fail rarely and take as long as they do.
Every asset suffers each fault once, on days apart from each other, after five weeks without any.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final, Literal, TypeAlias, get_args

from trunkline.catalogue.assets import columns_hash, table_urn
from trunkline.services.quality.course import Course, Known
from trunkline.services.quality.facts import Fact
from trunkline.services.quality.options import Options
from trunkline.services.quality.statistics import WINDOWS_MIN
from trunkline.services.quality.windows import DAY_US, MINUTE_US

Fault: TypeAlias = Literal["dropped", "doubled", "late", "failing", "renamed"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
SEEN_BY: Final[Mapping[Fault, str]] = {
    "dropped": "rows_written",
    "doubled": "rows_written",
    "late": "freshness",
    "failing": "failure_rate",
    "renamed": "schema",
}
"""The metric that a fault should show in."""

ROWS: Final = {
    "lineitem": 60_175,
    "orders": 15_000,
    "partsupp": 8_000,
    "part": 2_000,
    "customer": 1_500,
    "supplier": 1_000,
}
DAYS: Final = 100
CLEAN_DAYS: Final = 35
FIRST_DAY_US: Final = 20_000 * DAY_US
HOUR_US: Final = 60 * MINUTE_US

NOISE: Final = 0.06
WEEKEND: Final = 0.45
QUERIES: Final = 40
FAILING: Final = 0.015
LOST: Final = 0.30
LATE_HOURS: Final = 6


@dataclass(frozen=True, slots=True)
class Incident:
    """Something about an asset on a day: a fault, or what a monitor took for one."""

    asset: str
    day: int
    metric: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Facts in order, and the faults in them."""

    facts: Sequence[Fact]
    faults: Mapping[Incident, Fault]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How good a monitor is: what it finds of each fault, and how much of what it says is one."""

    precision: float
    recall: float
    by_fault: Mapping[Fault, float]
    false_alarms_per_asset_month: float


def stream(seed: int, *, copies: int = 5) -> Stream:
    """The facts of one tenant with `copies` of each table."""
    rng = random.Random(seed)  # noqa: S311 - the same stream for the same seed
    facts: list[Fact] = []
    faults: dict[Incident, Fault] = {}
    for copy in range(copies):
        for table, rows in ROWS.items():
            asset = table_urn(table, schema=f"tpch{copy}")
            days = rng.sample(range(CLEAN_DAYS, DAYS - 2, 4), len(FAULTS))
            of_it = dict(zip(days, FAULTS, strict=True))
            faults |= {Incident(asset, day, SEEN_BY[fault]): fault for day, fault in of_it.items()}
            facts += _life(asset, rows, of_it, rng)
    return Stream(sorted(facts, key=lambda fact: (fact.at_us, fact.id)), faults)


def _life(asset: str, rows: int, faults: Mapping[int, Fault], rng: random.Random) -> Iterator[Fact]:
    hour, columns = rng.uniform(1, 8), ["key", "value"]
    typical_us = rng.uniform(5_000, 500_000)
    for day in range(DAYS):
        fault = faults.get(day)
        if fault == "renamed":
            columns = ["key", f"value_{day}"]
        begin_us = FIRST_DAY_US + day * DAY_US
        weekend = WEEKEND if (day + 20_000 + 3) % 7 >= 5 else 1.0
        written = round(
            rows * weekend * rng.lognormvariate(0, NOISE) * (1 - LOST if fault == "dropped" else 1)
        )
        at_us = begin_us + round(
            (hour + rng.gauss(0, 0.15) + (LATE_HOURS if fault == "late" else 0)) * HOUR_US
        )
        for number in range(2 if fault == "doubled" else 1):
            yield Fact(
                id=f"{asset}-{day}-load-{number}",
                at_us=at_us + number * 20 * MINUTE_US,
                writes=(asset,),
                rows_written=written,
                columns_hash=columns_hash(columns),
            )
        for number in range(rng.randrange(QUERIES // 2, QUERIES * 3 // 2)):
            failed = rng.random() < (0.3 if fault == "failing" else FAILING)
            yield Fact(
                id=f"{asset}-{day}-query-{number}",
                at_us=begin_us + rng.randrange(DAY_US),
                reads=() if failed else (asset,),
                failed=(asset,) if failed else (),
                duration_us=None if failed else round(typical_us * rng.lognormvariate(0, 0.5)),
            )


def found_by_monitors(given: Stream) -> set[Incident]:
    """What the service's own monitors raise."""
    course = Course("bench", Options(), Known())
    for fact in given.facts:
        course.apply(fact)
    return {
        Incident(anomaly.asset, _day_of(anomaly.metric, anomaly.began_us, anomaly.raised_us), anomaly.metric)
        for anomaly in course.changes.anomalies.values()
    }


def found_by_z_score(given: Stream, *, sigmas: float = 3.0) -> set[Incident]:
    """What a plain z-score over all days before raises, on the same values; columns are compared as ours."""
    rows: defaultdict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    loads: defaultdict[str, list[int]] = defaultdict(list)
    failed: defaultdict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    logs: defaultdict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    columns: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for fact in given.facts:
        day = (fact.at_us - FIRST_DAY_US) // DAY_US
        for asset in fact.writes:
            rows[asset][day] += fact.rows_written or 0
            loads[asset].append(fact.at_us)
            columns[asset][day] = fact.columns_hash or ""
        for asset in (*fact.reads, *fact.failed):
            counted = failed[asset][day]
            counted[0] += bool(fact.failed)
            counted[1] += 1
            if fact.duration_us:
                logs[asset][day].append(fact.duration_us)
    found: set[Incident] = set()
    for asset in rows:
        rates = {day: part / whole for day, (part, whole) in failed[asset].items()}
        latencies = {day: fmean(values) for day, values in logs[asset].items()}
        gaps = {
            (later - FIRST_DAY_US) // DAY_US: float(later - earlier)
            for earlier, later in zip(loads[asset], loads[asset][1:], strict=False)
        }
        for metric, series, upward in (
            ("rows_written", rows[asset], False),
            ("failure_rate", rates, True),
            ("latency", latencies, True),
            ("freshness", gaps, True),
        ):
            found |= {Incident(asset, day, metric) for day in _z_outliers(series, sigmas, upward=upward)}
        found |= {
            Incident(asset, day, "schema")
            for day, one in columns[asset].items()
            if day >= WINDOWS_MIN and columns[asset].get(day - 1, one) != one
        }
    return found


def judged(given: Stream, found: set[Incident]) -> Judgement:
    """Precision, recall and false alarms of what was found."""
    right = found & given.faults.keys()
    of_fault = {fault: [one for one, kind in given.faults.items() if kind == fault] for fault in FAULTS}
    assets = {one.asset for one in given.faults}
    months = len(assets) * (DAYS - WINDOWS_MIN) / 30
    return Judgement(
        precision=len(right) / len(found) if found else 1.0,
        recall=len(right) / len(given.faults),
        by_fault={
            fault: sum(one in right for one in places) / len(places) for fault, places in of_fault.items()
        },
        false_alarms_per_asset_month=len(found - right) / months,
    )


def _day_of(metric: str, began_us: int, raised_us: int) -> int:
    return ((raised_us if metric == "freshness" else began_us) - FIRST_DAY_US) // DAY_US


def _z_outliers(series: Mapping[int, float], sigmas: float, *, upward: bool) -> Iterator[int]:
    before: list[float] = []
    for day, value in sorted(series.items()):
        if len(before) >= WINDOWS_MIN and (spread := pstdev(before)) > 0 and math.isfinite(spread):
            z = (value - fmean(before)) / spread
            if z > sigmas or (z < -sigmas and not upward):
                yield day
        before.append(value)
