"""Whether a value is unusual, by its history. Pure, and robust: past anomalies do not move a median.

Volumes and latencies are compared as logarithms: what is usual is a factor, not a difference, and both spread
upwards. Where days of the week (or hours of the day) differ, each has an effect of its own; that is believed
only when it explains a good part of the spread. Failures are rare counts, compared with Freeman and Tukey's
deviate, which is near to normal also for a handful of them.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from trunkline.services.quality.facts import LOG_SCALE
from trunkline.services.quality.windows import Series, Window

WINDOWS_MIN: Final = 14
"""No word about a metric before it has had so many windows."""

SEASONS_MIN: Final = 3
"""So often a day of the week must have been seen before it has an effect of its own."""

SEASON_GAIN: Final = 0.7
"""The spread that a season must leave, at most, of that without it."""

NORMAL: Final = 1.4826
"""The standard deviation of a normal distribution is so many times its median absolute deviation."""

SPREAD_MIN: Final = 0.02
"""As a logarithm, 2 %: what has never varied may begin to, a little."""

FAILURES_MIN: Final = 3
"""Fewer failed queries in a window are no burst, however rare they are."""

SMALL_SAMPLE: Final = 4.0
"""The threshold is raised by this over the number of windows: what little history says is less sure."""

MEDIAN_CHI_SQUARE: Final = 0.455
"""Of one degree of freedom: what the square of a standard deviate is in the middle."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a value is, what was expected, and how many robust standard deviations it is away."""

    observed: float
    low: float
    high: float
    deviations: float
    unusual: bool

    @property
    def score(self) -> float:
        """How sure an anomaly is: 1 less the most that any single-peaked distribution has so far out.

        That is 4/(9 z^2), the inequality of Vysochanskij and Petunin.
        """
        z = max(abs(self.deviations), 1.0)
        return round(max(0.0, 1 - 4 / (9 * z * z)), 6)


def judge(metric: Series, window: Window, history: Sequence[Window], threshold: float) -> Verdict | None:
    """The verdict on a window; None where it has no value or too little history, oldest first."""
    value = window.value(metric)
    known = [(one.slot, found) for one in history if (found := one.value(metric)) is not None]
    if value is None or len(known) < WINDOWS_MIN:
        return None
    limit = threshold * (1 + SMALL_SAMPLE / len(known))
    if metric == "failure_rate":
        return _failures(value, [found for _, found in known], limit)
    logs = [(slot, _log(metric, found)) for slot, found in known]
    return _level(_log(metric, value), window.slot, logs, limit, upward_only=metric == "latency")


def _log(metric: Series, value: tuple[int, int]) -> float:
    numerator, denominator = value
    return math.log1p(numerator) if metric == "rows_written" else numerator / denominator / LOG_SCALE


def _level(
    value: float, slot: int, known: Sequence[tuple[int, float]], limit: float, *, upward_only: bool
) -> Verdict:
    effects = season(known)
    rest = [one - effects.get(at, 0.0) for at, one in known]
    centre = median(rest) + effects.get(slot, 0.0)
    spread = max(SPREAD_MIN, NORMAL * median(abs(one - median(rest)) for one in rest))
    deviations = (value - centre) / spread
    return Verdict(
        observed=_plain(value),
        low=0.0 if upward_only else _plain(centre - limit * spread),
        high=_plain(centre + limit * spread),
        deviations=round(deviations, 6),
        unusual=deviations > limit or (deviations < -limit and not upward_only),
    )


def season(known: Sequence[tuple[int, float]]) -> dict[int, float]:
    """By how much each slot is usually away from the middle; empty where there is no season, or not yet."""
    by_slot: defaultdict[int, list[float]] = defaultdict(list)
    for slot, value in known:
        by_slot[slot].append(value)
    if len(by_slot) < 2 or min(map(len, by_slot.values())) < SEASONS_MIN:
        return {}
    middle = median(value for _, value in known)
    effects = {slot: median(values) - middle for slot, values in by_slot.items()}
    without = median(abs(value - middle) for _, value in known)
    rest = [value - effects[slot] for slot, value in known]
    left = median(abs(value - median(rest)) for value in rest)
    return effects if left < SEASON_GAIN * without else {}


def _failures(value: tuple[int, int], known: Sequence[tuple[int, int]], limit: float) -> Verdict:
    rate = _usual_rate(known)
    scale = math.sqrt(max(1.0, median(_deviate(*one, rate) ** 2 for one in known) / MEDIAN_CHI_SQUARE))
    failed, queries = value
    deviations = _deviate(failed, queries, rate) / scale
    root = (limit * scale + math.sqrt(4 * queries * rate + 1)) / 2
    return Verdict(
        observed=round(failed / queries, 9),
        low=0.0,
        high=round(min(1.0, root * root / queries), 9),
        deviations=round(deviations, 6),
        unusual=deviations > limit and failed >= FAILURES_MIN,
    )


def _usual_rate(known: Sequence[tuple[int, int]]) -> float:
    """The share of failures without the tenth of windows that had the largest."""
    ordered = sorted(known, key=lambda one: (one[0] / one[1], one))
    usual = ordered[: max(1, math.ceil(len(ordered) * 0.9))]
    return (sum(failed for failed, _ in usual) + 0.5) / (sum(queries for _, queries in usual) + 1)


def _deviate(failed: int, queries: int, rate: float) -> float:
    expected = queries * rate
    return math.sqrt(failed) + math.sqrt(failed + 1) - math.sqrt(4 * expected + 1)


def _plain(logarithm: float) -> float:
    """Back from a logarithm, bounded to what an event can carry; nine digits, as every machine has them."""
    return float(f"{max(0.0, math.expm1(min(logarithm, 690.0))):.9g}")
