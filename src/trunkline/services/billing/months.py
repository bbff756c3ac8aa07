"""Moments and months: microseconds since 1970, and periods such as `2026-11`, both in UTC."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from trunkline.errors import InvalidInput

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAY_US: Final = 86_400_000_000

# Before the year 9999, so that every month has a next one.
_PERIOD: Final = re.compile(r"(?!0000|9999)[0-9]{4}-(?:0[1-9]|1[0-2])")


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """The moment again."""
    return EPOCH + us * MICROSECOND


def period_of(moment: datetime) -> str:
    """The month in which a moment is."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return _name(moment.year, moment.month)


@lru_cache(1_200)
def bounds(period: str) -> tuple[datetime, datetime]:
    """When a month begins, and when the next one does. Raises `InvalidInput` for what is no month."""
    if not _PERIOD.fullmatch(period):
        raise InvalidInput(f"period {period[:20]!r}: write a month as YYYY-MM, for instance 2026-11")
    begin = datetime(int(period[:4]), int(period[5:]), 1, tzinfo=UTC)
    return begin, begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1)


def end_us(period: str) -> int:
    """When a month is over."""
    return to_us(bounds(period)[1])


def next_period(period: str) -> str:
    """The month after it."""
    return period_of(bounds(period)[1])


@lru_cache(1_200)
def _name(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"
