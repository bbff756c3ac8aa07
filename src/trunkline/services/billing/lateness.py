"""Whether the time of an event is believed. Pure.

An event is judged by the time it has in the log, not by the time of reading, so that a replay judges the
same. One more than `FUTURE_MAX` ahead of it, or more than the grace behind it, goes to the quarantine, where
it is visible and waits for somebody's word. History that is imported on purpose says so: an event with the
extension attribute `backfill` may be of any age.
"""

from datetime import timedelta
from typing import Final, Literal, TypeAlias

from trunkline.client.handler import Received

FUTURE_MAX: Final = timedelta(minutes=5)
"""Clocks differ; by more than this one of them is wrong."""

BACKFILL: Final = "backfill"
"""The extension attribute of events that are known to be old; its value names where they come from."""

Doubt: TypeAlias = Literal["future", "too_old"]

DOUBTS: Final[dict[Doubt, str]] = {
    "future": "its time is more than 5 minutes after it was published",
    "too_old": "it was published later than the grace after it happened, and is not marked as a backfill",
}

_FUTURE_US: Final = FUTURE_MAX // timedelta(microseconds=1)
_MS_US: Final = 1_000


def arrival_us(received: Received, now_us: int) -> int:
    """When an event came into the log; now, where the log does not tell."""
    timestamp_ms = received.record.timestamp_ms
    return timestamp_ms * _MS_US if timestamp_ms > 0 else now_us


def doubt(received: Received, *, time_us: int, arrived_us: int, grace_us: int) -> Doubt | None:
    """Why the time of an event is not believed; None if it is."""
    if time_us > arrived_us + _FUTURE_US:
        return "future"
    if time_us < arrived_us - grace_us and BACKFILL not in received.event.extensions:
        return "too_old"
    return None
