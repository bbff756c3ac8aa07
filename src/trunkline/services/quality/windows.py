"""Sums of one asset over one window of event time. Pure.

Everything in a window is a sum or a maximum, so that it does not depend on the order of events.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trunkline.services.quality.facts import LOG_SCALE, Fact

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
DAY_US: Final = 1_440 * MINUTE_US
WEEK_US: Final = 7 * DAY_US

LATENESS_US: Final = 10 * MINUTE_US
"""How far behind the newest event of its tenant an event may be and still be in time."""

HISTORY_DAYS: Final = 56
HISTORY_MAX: Final = 400
"""Windows that a value is compared with: eight weeks of days, and never more than so many."""

Series: TypeAlias = Literal["rows_written", "failure_rate", "latency"]
"""The metrics that have a value in every window."""

_MONDAY_US: Final = -3 * DAY_US
"""1970 began on a Thursday."""


@dataclass(slots=True, kw_only=True)
class Window:
    """What happened to an asset from `start_us` for `width_us`. `late` counts what came after it closed."""

    asset: str
    width_us: int
    start_us: int
    reads: int = 0
    writes: int = 0
    failures: int = 0
    measured: int = 0
    rows_written: int = 0
    timed: int = 0
    log_sum: int = 0
    columns_hash: str | None = None
    columns_us: int = 0
    late: int = 0
    closed: bool = False

    @property
    def place(self) -> tuple[str, int, int]:
        """What tells it from the tenant's other windows."""
        return (self.asset, self.start_us, self.width_us)

    @property
    def end_us(self) -> int:
        return self.start_us + self.width_us

    @property
    def slot(self) -> int:
        """Its place in the season: the day of the week, or the time of day for windows shorter than a day."""
        cycle = DAY_US if self.width_us < DAY_US else WEEK_US
        return (self.start_us - _MONDAY_US) % cycle // self.width_us

    def add(self, fact: Fact) -> None:
        """Count a fact about this asset."""
        if self.asset in fact.failed:
            self.failures += 1
            return
        if self.asset in fact.reads:
            self.reads += 1
            if fact.duration_us is not None:
                self.timed += 1
                self.log_sum += round(LOG_SCALE * math.log1p(fact.duration_us))
        if self.asset in fact.writes:
            self.writes += 1
            if fact.rows_written is not None:
                self.measured += 1
                self.rows_written += fact.rows_written
            self._see_columns(fact)

    def _see_columns(self, fact: Fact) -> None:
        """The newest column set counts; of two at the same moment always the same one."""
        if fact.columns_hash is None:
            return
        if (fact.at_us, fact.columns_hash) > (self.columns_us, self.columns_hash or ""):
            self.columns_us, self.columns_hash = fact.at_us, fact.columns_hash

    def value(self, metric: Series) -> tuple[int, int] | None:
        """The metric as a fraction, numerator and denominator; None where the window says nothing of it."""
        match metric:
            case "rows_written":
                return (self.rows_written, 1) if self.measured else None
            case "failure_rate":
                queries = self.reads + self.failures
                return (self.failures, queries) if queries else None
            case "latency":
                return (self.log_sum, self.timed) if self.timed else None


def start_of(at_us: int, width_us: int) -> int:
    """Where the window begins that a moment is in. Weeks begin on Monday, days at midnight UTC."""
    return at_us - (at_us - _MONDAY_US) % width_us


def history_max(width_us: int) -> int:
    """How many windows of a width a value is compared with."""
    return min(HISTORY_MAX, max(HISTORY_DAYS * DAY_US // width_us, 28))


def history_us(width_us: int) -> int:
    """How far back of a window lie those that it is compared with: twice the time that so many take, because
    not every window has something in it."""
    return 2 * history_max(width_us) * width_us


def before(history: Sequence[Window], window: Window) -> list[Window]:
    """Those that a window is compared with: of its width, earlier than it but not too much, the newest."""
    oldest_us = window.start_us - history_us(window.width_us)
    earlier = [
        one
        for one in history
        if one.width_us == window.width_us and oldest_us <= one.start_us < window.start_us
    ]
    return earlier[-history_max(window.width_us) :]
