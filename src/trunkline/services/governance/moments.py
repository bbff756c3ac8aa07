"""Times as the tables have them: microseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Exact, unlike what floats make of it."""
    return (moment - _EPOCH) // _US


def from_us(us: int) -> datetime:
    """The moment again."""
    return _EPOCH + timedelta(microseconds=us)
