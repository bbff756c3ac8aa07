"""When a delivery that failed is tried again. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MINUTE_S: Final = 60
HOUR_S: Final = 3_600

STANDARD_S: Final = (
    0.0,
    5.0,
    5.0 * MINUTE_S,
    30.0 * MINUTE_S,
    2.0 * HOUR_S,
    5.0 * HOUR_S,
    10.0 * HOUR_S,
    14.0 * HOUR_S,
    20.0 * HOUR_S,
    24.0 * HOUR_S,
)
"""The wait before each attempt: the schedule that Standard Webhooks 1.0.0 recommends, 75 h 35 min in all."""

RETRY_AFTER_MAX_S: Final = 24.0 * HOUR_S
JITTER: Final = 0.1
"""The share of a wait that chance adds to it, so that what failed together is not tried again together."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """`delays_s[n]` is the wait before attempt n, from 0; after the last one nothing is tried any more."""

    delays_s: tuple[float, ...] = STANDARD_S

    def next_s(self, failures: int, *, retry_after_s: float | None, chance: float) -> float | None:
        """The wait after so many failures; None to give up. `chance` is from 0 to 1.

        A receiver's Retry-After makes it longer, never shorter.
        """
        if failures >= len(self.delays_s):
            return None
        wait = self.delays_s[failures] * (1 + JITTER * chance)
        if retry_after_s is not None:
            wait = max(wait, min(retry_after_s, RETRY_AFTER_MAX_S))
        return wait


def retry_after_of(header: str | None, *, now: datetime) -> float | None:
    """The seconds of a Retry-After header (RFC 9110 section 10.2.3); None for none and for nonsense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
