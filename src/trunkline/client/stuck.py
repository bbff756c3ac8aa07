"""Finds partitions that are this member's, ought to be read, and cannot be. Sans-IO.

A member whose group is well may own a partition that no broker leads, or whose log its broker cannot read.
The library tries for ever and says nothing; only its statistics show it: records lie behind the position,
none is here, and neither the library's position nor ours moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from trunkline.client.kafka import Fetching, Partition

NO_LEADER: Final = -1


class _Place(NamedTuple):
    """How far the library has fetched, and how far the records have been applied."""

    fetched: int
    applied: int


@dataclass(slots=True)
class _Wait:
    place: _Place
    since: float
    why: str


class Stuck:
    """Of one member. Times are in seconds on the caller's clock."""

    def __init__(self, limit: float) -> None:
        """A partition may stand still for `limit` seconds with something to read."""
        self._limit = limit
        self._waits: dict[Partition, _Wait] = {}

    def look(
        self, reading: Mapping[Partition, int], fetching: Mapping[Partition, Fetching], now: float
    ) -> str | None:
        """What is stuck and where to look, None if nothing is.

        `reading` has the partitions that are read with their position, `fetching` what the library says.
        """
        waits: dict[Partition, _Wait] = {}
        for key, applied in reading.items():
            state = fetching.get(key)
            if state is None or (why := _why(key, state)) is None:
                continue
            place = _Place(state.position, applied)
            before = self._waits.get(key)
            stands_still = before is not None and before.place == place
            waits[key] = _Wait(place, before.since if before is not None and stands_still else now, why)
        self._waits = waits
        reasons = sorted(wait.why for wait in waits.values() if now - wait.since >= self._limit)
        if not reasons:
            return None
        return f"for more than {self._limit:g} s {', '.join(reasons)}"


def _why(key: Partition, state: Fetching) -> str | None:
    topic, number = key
    if state.queued:
        return None
    if state.leader == NO_LEADER:
        return f"no broker leads {topic}/{number} (start those that hold its replicas)"
    if state.end > state.position:
        return (
            f"broker {state.leader} does not hand out the records of {topic}/{number} from offset "
            f"{state.position} on (look at its log)"
        )
    return None
