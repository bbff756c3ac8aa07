"""The sparse index of one segment: offset to position, time to offset. A cache, never the truth.

Both halves use Apache Kafka's files, so that its tools can read them: `.index` holds (offset, position) and
`.timeindex` holds (timestamp, offset), big-endian, offsets relative to the segment's first. An `.index`
entry points at the start of the batch whose *last* offset it names. A `.timeindex` entry says: nothing
appended before this entry was later than this timestamp, and this offset has it. Entries are added for every
`INDEX_INTERVAL_BYTES` of batches and are only ever appended.
"""

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from trunkline.broker.log.fs import Fs

INDEX_INTERVAL_BYTES = 4096
"""What a lookup may have to walk over, at most, plus one batch (Kafka's index.interval.bytes)."""

_OFFSET_ENTRY_BYTES = 8
_TIME_ENTRY_BYTES = 12


class SegmentIndex:
    """Where batches are, by offset, by position and by time."""

    __slots__ = (
        "_offsets",
        "_persisted",
        "_positions",
        "_time_offsets",
        "_times",
        "max_timestamp_ms",
        "max_timestamp_offset",
    )

    def __init__(self) -> None:
        self._offsets = array("I")
        self._positions = array("I")
        self._times = array("q")
        self._time_offsets = array("I")
        self._persisted = (0, 0)
        self.max_timestamp_ms = -1
        self.max_timestamp_offset = 0

    @property
    def last_position(self) -> int:
        """The position of the last indexed batch; 0 when there is none."""
        return self._positions[-1] if self._positions else 0

    def add(self, *, last_offset: int, position: int, max_timestamp_ms: int) -> None:
        """Take note of a batch just appended; `last_offset` is relative to the segment's first."""
        if max_timestamp_ms > self.max_timestamp_ms:
            self.max_timestamp_ms = max_timestamp_ms
            self.max_timestamp_offset = last_offset
        if position - self.last_position >= INDEX_INTERVAL_BYTES:
            self._offsets.append(last_offset)
            self._positions.append(position)
            self.add_time()

    def add_time(self) -> None:
        """Record the latest timestamp so far; also done last of all, for a closed segment's maximum."""
        if self.max_timestamp_ms > (self._times[-1] if self._times else -1):
            # In this order: whoever finds a time on another thread finds its offset too.
            self._time_offsets.append(self.max_timestamp_offset)
            self._times.append(self.max_timestamp_ms)

    def position_for_offset(self, offset: int) -> int:
        """A batch start from which a walk forward finds relative `offset`, or the first batch after it."""
        entry = bisect_right(self._offsets, offset) - 1
        return self._positions[entry] if entry >= 0 else 0

    def position_before(self, position: int) -> int:
        """The last indexed batch start at or before `position`."""
        entry = bisect_right(self._positions, position) - 1
        return self._positions[entry] if entry >= 0 else 0

    def entries_before(self, position: int) -> Iterator[tuple[int, int]]:
        """(position, last offset) of the indexed batches that begin before `position`, last first."""
        for entry in range(bisect_left(self._positions, position) - 1, -1, -1):
            yield self._positions[entry], self._offsets[entry]

    def offset_before_time(self, timestamp_ms: int) -> int:
        """A relative offset before which everything is earlier than `timestamp_ms`."""
        entry = bisect_left(self._times, timestamp_ms) - 1
        return self._time_offsets[entry] if entry >= 0 else 0

    def persist(self, fs: Fs, segment_path: Path) -> None:
        """Append the entries that the files do not hold yet. Entries may be added at the same time."""
        offsets, times = len(self._positions), len(self._times)
        offsets_done, times_done = self._persisted
        offset_entries = array("I", bytes(_OFFSET_ENTRY_BYTES * (offsets - offsets_done)))
        offset_entries[0::2] = self._offsets[offsets_done:offsets]
        offset_entries[1::2] = self._positions[offsets_done:offsets]
        _append(fs, segment_path.with_suffix(".index"), _big_endian(offset_entries).tobytes())
        _append(fs, segment_path.with_suffix(".timeindex"), self._time_entries(times_done, times))
        self._persisted = (offsets, times)

    def _time_entries(self, first: int, last: int) -> bytes:
        words = array("I", bytes(_TIME_ENTRY_BYTES * (last - first)))
        stamps = array("I", _big_endian(self._times[first:last]).tobytes())
        words[0::3] = stamps[0::2]
        words[1::3] = stamps[1::2]
        words[2::3] = _big_endian(self._time_offsets[first:last])
        return words.tobytes()

    @classmethod
    def load(cls, fs: Fs, segment_path: Path, *, size: int) -> "SegmentIndex | None":
        """The index that the files hold of a segment of `size` bytes; None when it is missing or wrong."""
        offset_data = fs.read(segment_path.with_suffix(".index"))
        time_data = fs.read(segment_path.with_suffix(".timeindex"))
        if offset_data is None or time_data is None:
            return None
        if len(offset_data) % _OFFSET_ENTRY_BYTES or len(time_data) % _TIME_ENTRY_BYTES:
            return None
        index = cls()
        index._take_offsets(offset_data)
        index._take_times(time_data)
        return index if index._is_plausible(size) else None

    def _take_offsets(self, data: bytes) -> None:
        words = _big_endian(array("I", data))
        self._offsets, self._positions = words[0::2], words[1::2]
        self._persisted = (len(self._offsets), self._persisted[1])

    def _take_times(self, data: bytes) -> None:
        words = array("I", data)
        stamps = array("I", bytes(8 * (len(words) // 3)))
        stamps[0::2], stamps[1::2] = words[0::3], words[1::3]
        self._times = _big_endian(array("q", stamps.tobytes()))
        self._time_offsets = _big_endian(words[2::3])
        self._persisted = (self._persisted[0], len(self._times))
        if self._times:
            self.max_timestamp_ms, self.max_timestamp_offset = self._times[-1], self._time_offsets[-1]

    def _is_plausible(self, size: int) -> bool:
        return (
            all(a < b for a, b in pairwise(self._offsets))
            and all(a < b for a, b in pairwise(self._positions))
            and all(a < b for a, b in pairwise(self._times))
            and self.last_position < max(size, 1)
        )


def last_timestamp_ms(fs: Fs, segment_path: Path) -> int | None:
    """The last entry of a time index, which in a finished segment is its maximum; None when there is none."""
    path = segment_path.with_suffix(".timeindex")
    if not fs.exists(path):
        return None
    file = fs.open(path)
    try:
        entry = file.pread(_TIME_ENTRY_BYTES, file.size - _TIME_ENTRY_BYTES) if file.size else b""
    finally:
        file.close()
    return int.from_bytes(entry[:8], "big", signed=True) if len(entry) == _TIME_ENTRY_BYTES else None


def remove_index(fs: Fs, segment_path: Path) -> None:
    """Remove the files of a segment's index; missing ones are not an error."""
    fs.remove(segment_path.with_suffix(".index"))
    fs.remove(segment_path.with_suffix(".timeindex"))


def _append(fs: Fs, path: Path, data: bytes) -> None:
    file = fs.open(path)
    try:
        if data:
            file.append(data)
            file.sync()
    finally:
        file.close()


def _big_endian(values: "array[int]") -> "array[int]":
    """Swap between the machine's byte order and the files'."""
    swapped = values[:]
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped
