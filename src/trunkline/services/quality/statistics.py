"""Whether a value is unusual, by its history. Pure, and robust: past anomalies hardly move what is usual.

Volumes and latencies are compared as logarithms: what is usual is a factor, not a difference, and both spread
upwards. The middle is the median. The spread is Rousseeuw and Croux's Qn (1993), which half of the values may
spoil as with the median absolute deviation, and which needs less than half as many to be as sure. Where days
of the week (or hours of the day) differ, each has an effect of its own; that is believed only when it
explains a good part of the spread. Failures are rare counts, compared with Freeman and Tukey's deviate, which
is near to normal also for a handful of them.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median
from typing import Final

import msgspec

from trunkline.services.quality.facts import LOG_SCALE
from trunkline.services.quality.windows import Series, Window

WINDOWS_MIN: Final = 14
"""No word about a metric before it has had so many windows."""

SEASONS_MIN: Final = 2
"""So often every day of the week must have been seen before it has an effect of its own."""

SEASON_GAIN: Final = 0.7
"""The spread that a season must leave, at most, of that without it."""

SPREAD_VALUES_MAX: Final = 120
"""Of the newest values; the work grows with the square."""

SPREAD_MIN: Final = 0.02
"""As a logarithm, 2 %: what has never varied may begin to, a little."""

FAILURES_MIN: Final = 3
"""Fewer failed queries in a window are no burst, however rare they are."""

SMALL_SAMPLE: Final = 4.0
"""The threshold is raised by this over the number of windows: what little history says is less sure."""

EXPECTED_MIN: Final = 2.0
"""Windows in which fewer failures are expected say nothing of how much their number varies."""

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
    if metric == "failure_rate":
        # The usual rate is of all queries of all windows, and so no small sample.
        return _failures(value, [found for _, found in known], threshold)
    limit = threshold * (1 + SMALL_SAMPLE / len(known))
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
    spread = max(SPREAD_MIN, spread_of(rest) * _learnt(effects, slot, known))
    deviations = (value - centre) / spread
    return Verdict(
        observed=_plain(value),
        low=0.0 if upward_only else _plain(centre - limit * spread),
        high=_plain(centre + limit * spread),
        deviations=round(deviations, 6),
        unusual=deviations > limit or (deviations < -limit and not upward_only),
    )


def spread_of(values: Sequence[float]) -> float:
    """Qn: as the standard deviation of what is normally distributed. At least two values."""
    newest = values[-SPREAD_VALUES_MAX:]
    number = len(newest)
    distances = sorted(abs(one - other) for one, other in combinations(newest, 2))
    half = number // 2 + 1
    # The factors for few values are those of Croux and Rousseeuw (1992).
    factor = number / (number + (1.4 if number % 2 else 3.8))
    return 2.2219 * factor * distances[half * (half - 1) // 2 - 1]


def _learnt(effects: Mapping[int, float], slot: int, known: Sequence[tuple[int, float]]) -> float:
    """How much more a value spreads than the rest that effects leave: they were fitted to that very rest."""
    if not effects:
        return 1.0
    alike = sum(at == slot for at, _ in known) or 1
    return math.sqrt(len(known) / max(1, len(known) - len(effects)) * (1 + 1 / alike))


def season(known: Sequence[tuple[int, float]]) -> dict[int, float]:
    """By how much each slot is usually away from the middle; empty where there is no season, or not yet."""
    by_slot: defaultdict[int, list[float]] = defaultdict(list)
    for slot, value in known:
        by_slot[slot].append(value)
    if len(by_slot) < 2 or min(map(len, by_slot.values())) < SEASONS_MIN:
        return {}
    middle = median(value for _, value in known)
    effects = {slot: median(values) - middle for slot, values in by_slot.items()}
    rest = [value - effects[slot] for slot, value in known]
    without = spread_of([value for _, value in known])
    return effects if spread_of(rest) < SEASON_GAIN * without else {}


def _failures(value: tuple[int, int], known: Sequence[tuple[int, int]], limit: float) -> Verdict:
    rate = _usual_rate(known)
    scale = _overdispersion(known, rate)
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


def _overdispersion(known: Sequence[tuple[int, int]], rate: float) -> float:
    """How much more failures vary than by chance, where there are enough of them to tell."""
    squares = [_deviate(*one, rate) ** 2 for one in known if one[1] * rate >= EXPECTED_MIN]
    return math.sqrt(max(1.0, median(squares) / MEDIAN_CHI_SQUARE)) if len(squares) >= WINDOWS_MIN else 1.0


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
