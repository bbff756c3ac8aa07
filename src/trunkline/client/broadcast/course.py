"""How far an instance has read, and whether that is all there is. Sans-IO: times are arguments, in seconds.

What the cluster says about the topic (a `Sighting`) and what the consumer delivers are two sources: an
instance counts as up to date only while both agree, so a consumer that silently gets nothing is noticed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.codec.record import Record

NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """The topic as the cluster has it: first offset and the one after the last of each partition.

    `at` is the time before the cluster was asked: what it answers was true then or later.
    """

    topic_id: str
    bounds: Mapping[int, tuple[int, int]]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Where to read every partition from. `fresh`: from the beginning, and what was read before is void."""

    offsets: Mapping[int, int]
    fresh: bool


class Course:
    """The positions of one instance in all partitions of a topic."""

    def __init__(self) -> None:
        self._topic_id: str | None = None
        self._bounds: Mapping[int, tuple[int, int]] = {}
        self._seen_at = NEVER
        self._positions: dict[int, int] = {}
        self.current_at = NEVER
        """The last time at which everything that was in the topic had been read."""

    @property
    def topic_id(self) -> str:
        """The topic's id on its cluster; empty before it was seen, or where the cluster has none."""
        return self._topic_id or ""

    @property
    def positions(self) -> dict[int, int]:
        """The next offset of each partition."""
        return dict(self._positions)

    @property
    def current(self) -> bool:
        """Whether everything was read that the last sighting told of."""
        return self.current_at == self._seen_at != NEVER

    def seen(self, sighting: Sighting) -> Assignment | None:
        """The cluster was asked; returns what to read from now on if that has changed."""
        fewer = not self._positions.keys() <= sighting.bounds.keys()
        if fewer and sighting.topic_id and sighting.topic_id == self._topic_id:
            # From a broker that has not heard of the partitions added last: no topic ever loses one.
            return None
        another = fewer or self._topic_id != sighting.topic_id
        added = set(sighting.bounds.keys() - self._positions.keys())
        if another:
            self._topic_id, self._positions, self.current_at = sighting.topic_id, {}, NEVER
            added = set(sighting.bounds)
        self._positions |= {number: sighting.bounds[number][0] for number in sorted(added)}
        self._bounds, self._seen_at = sighting.bounds, sighting.at
        self._judge()
        if another or added:
            return Assignment(offsets=self.positions, fresh=another)
        return None

    def restarted(self) -> None:
        """The consumer is a new one: the next sighting starts everything over."""
        self._topic_id = None

    def read(self, records: Iterable[Record], ends: Mapping[int, int]) -> None:
        """These were applied, and the ends of these partitions were met, at these offsets, after them."""
        for record in records:
            # Not the higher of both: a log that lost its tail is read again, from below.
            self._positions[record.partition] = record.offset + 1
        for number, end in ends.items():
            self._positions[number] = max(self._positions.get(number, end), end)
        self._judge()

    def _judge(self) -> None:
        if all(self._positions[number] >= high for number, (_, high) in self._bounds.items()):
            self.current_at = self._seen_at
