"""Offsets that a consumer came past without a record, and which of them retention has deleted. Sans-IO.

A log has gaps that are no loss: where a transaction ended or was aborted, and where compaction cleaned up.
A gap that lies before the first offset still in the log was deleted before it could be read: the library goes
on at the new beginning then, and says nothing.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Partition
from trunkline.codec.record import Record
from trunkline.errors import Unavailable

LOOK_SECONDS: Final = 1.0
"""The shortest time between two questions; behind a transactional producer every batch has gaps."""

GAPS_MAX: Final = 10_000
"""Remembered until the cluster has answered; the oldest are forgotten first."""

Bounds: TypeAlias = Callable[[Collection[Partition]], Mapping[Partition, tuple[int, int]]]
"""Asks for the first offset still in the log and the one after the last. Raises as `Admin.offsets` does."""


class Gaps:
    """Of one member, on its thread."""

    def __init__(self) -> None:
        self._met: deque[tuple[Partition, range]] = deque(maxlen=GAPS_MAX)
        self._due = 0.0

    def passed(self, key: Partition, expected: int, records: Sequence[Record]) -> None:
        """Records of a partition were applied, in order, where `expected` was the next offset."""
        if records[-1].offset + 1 - expected == len(records):
            return
        offsets = [expected - 1, *(record.offset for record in records)]
        self._met.extend((key, range(one + 1, other)) for one, other in pairwise(offsets) if other > one + 1)

    def expired(self, bounds: Bounds, now: float) -> dict[Partition, int]:
        """How many offsets of each partition retention deleted unread, in the gaps met since last time."""
        if not self._met or now < self._due:
            return {}
        self._due = now + LOOK_SECONDS
        try:
            found = bounds({key for key, _ in self._met})
        except Unavailable:
            return {}  # Then it is asked the next time.
        except KafkaFailed:
            found = {}  # A topic is gone, and nobody can say any more.
        lost: dict[Partition, int] = {}
        for key, gap in self._met:
            low, _ = found.get(key, (0, 0))
            if deleted := len(range(gap.start, min(gap.stop, low))):
                lost[key] = lost.get(key, 0) + deleted
        self._met.clear()
        return lost
