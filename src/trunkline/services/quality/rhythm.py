"""How often an asset is loaded, and when the next load is overdue. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from trunkline.services.quality.statistics import SMALL_SAMPLE, WINDOWS_MIN
from trunkline.services.quality.windows import DAY_US, LATENESS_US, MINUTE_US, WEEK_US

SLOT_US: Final = 5 * MINUTE_US
"""Loads are known by the five minutes they were in: many statements of one load are one."""

NORMAL: Final = 1.4826
"""The standard deviation of a normal distribution is so many times its median absolute deviation."""

LOADS_MAX: Final = 400
"""Of one asset; the newest count."""

TOLERANCE_SHARE: Final = 0.05
"""Of the period: what has always been punctual may be late a little."""

WEEKS_MIN: Final = 3
"""So often a day of the week must have been followed by its own pause before that is expected."""


class Rhythm(NamedTuple):
    """The usual time from the newest load to the next, and how much more is tolerated."""

    period_us: int
    tolerance_us: int


def rhythm(loads: Sequence[int], threshold: float) -> Rhythm | None:
    """What the slots of loads, in order, say about the next one; None while they are too few.

    The period is the median of gaps by the time they take, not by their number: it is the gap in which one
    finds oneself at a random moment, whether a load is one statement or a hundred. Where the newest load's
    day of the week is usually followed by a longer pause, as a Friday is, that is the period.
    """
    gaps = [(later - earlier) * SLOT_US for earlier, later in pairwise(loads)]
    period = _weighted_median([(gap, gap) for gap in gaps])
    pauses = [gap for gap in gaps if 2 * gap >= period]
    if len(pauses) < WINDOWS_MIN:
        return None
    spread = NORMAL * _weighted_median([(abs(gap - period), gap) for gap in gaps])
    limit = threshold * (1 + SMALL_SAMPLE / len(pauses))
    tolerance = max(limit * spread, TOLERANCE_SHARE * period, LATENESS_US)
    pause = _pause_of_day(loads, period)
    return Rhythm(max(period, pause), round(tolerance))


def _pause_of_day(loads: Sequence[int], period: int) -> int:
    """The pause that usually follows a load on the newest one's day of the week; 0 where none is known."""
    today = _day(loads[-1])
    pauses = sorted(
        (later - earlier) * SLOT_US
        for earlier, later in pairwise(loads)
        if _day(earlier) == today and 2 * (later - earlier) * SLOT_US >= period
    )
    return pauses[(len(pauses) - 1) // 2] if len(pauses) >= WEEKS_MIN else 0


def _day(slot: int) -> int:
    return slot * SLOT_US % WEEK_US // DAY_US


def _weighted_median(weighted: Sequence[tuple[int, int]]) -> int:
    ordered = sorted(weighted)
    half, total = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        total += weight
        if total >= half:
            return value
    return 0
