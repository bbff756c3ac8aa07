"""Times as the tables have them: whole microseconds since 1970 UTC, which both databases compare exactly."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column holds; a cursor that was tampered with may say more."""

NEVER: Final = -(2**62)
"""Before every time that an event can have."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """The moment has a time zone."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    """In UTC."""
    return _EPOCH + us * _MICROSECOND


def from_us_if(us: int) -> datetime | None:
    """In UTC; None for `NEVER`."""
    return None if us == NEVER else from_us(us)
