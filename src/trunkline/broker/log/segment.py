"""A segment: one file of verbatim record batches named by the offset of its first record, and its index.

Batches are never parsed beyond their header. `walk` goes from header to header and stops with `BrokenBatch`
where the bytes cannot be a batch; ranges already known to be damaged are stepped over.
"""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from trunkline.broker.log.fs import Buffer, File, Fs
from trunkline.broker.log.index import INDEX_INTERVAL_BYTES, SegmentIndex, last_timestamp_ms, remove_index
from trunkline.broker.protocol.batch import HEADER_BYTES, MAGIC, BatchHeader, crc_matches

SEGMENT_BYTES_MAX = 2**31 - 1
"""Positions and sizes are 32-bit integers in the index and in the protocol."""

RELATIVE_OFFSET_MAX = 2**31 - 1

_Offset = TypeVar("_Offset", int, int | None)

_WALK_CHUNK_BYTES = INDEX_INTERVAL_BYTES + 2 * HEADER_BYTES


class Damage(msgspec.Struct, frozen=True, array_like=True):
    """A range of a segment that holds no readable batch, and the offsets that were lost with it.

    The bytes stay where they are. Readers at `first_offset` continue at `next_offset`, the first one after
    it.
    """

    segment: int
    start: int
    end: int
    first_offset: int
    next_offset: int


class BrokenBatch(Exception):  # noqa: N818 - reads as what it is
    """No batch starts at this position, although one should."""

    def __init__(self, segment: "Segment", position: int) -> None:
        super().__init__(f"no record batch at byte {position} of {segment.path}")
        self.segment = segment
        self.position = position


def segment_name(base_offset: int) -> str:
    """The file name of a segment, as Kafka writes it."""
    return f"{base_offset:020}.log"


class Segment:
    """One segment. Opens its file and loads its index when first needed."""

    __slots__ = (
        "_checked",
        "_file",
        "_fs",
        "_index",
        "_indexed",
        "base_offset",
        "created_ms",
        "damage",
        "dirty",
        "finished",
        "path",
        "size",
        "verified_from",
    )

    def __init__(self, fs: Fs, directory: Path, base_offset: int, *, created_ms: int) -> None:
        self._fs = fs
        self.path = directory / segment_name(base_offset)
        self.base_offset = base_offset
        self.created_ms = created_ms
        self.dirty = False
        self.finished = False
        self.verified_from = 0
        """Batches from this byte on were checked against their checksums since the log was opened."""
        self._checked = (0, 0)
        self.damage: list[Damage] = []
        # As far as it is known; `_indexed` once it covers all batches.
        self._index: SegmentIndex | None = None
        self._indexed = False
        self._file: File | None = None
        self.size = self.verified_from = self._measure()

    def _measure(self) -> int:
        """The size of the file, created if it is missing. Thousands are measured, few are read."""
        file = self._fs.open(self.path)
        file.close()
        return file.size

    @property
    def file(self) -> File:
        """The open file."""
        if self._file is None:
            self._file = self._fs.open(self.path)
        return self._file

    @property
    def index(self) -> SegmentIndex:
        """The index: from its files if they can be right, else rebuilt from the batches."""
        index = self._index
        if index is None or not self._indexed:
            index = self._index = index or self._load_index()
            for position, header in self.walk(index.last_position, self.size):
                if position == 0 or position > index.last_position:
                    last = header.last_offset - self.base_offset
                    index.add(last_offset=last, position=position, max_timestamp_ms=header.max_timestamp)
            self._indexed = True
        return index

    def _load_index(self) -> SegmentIndex:
        index = SegmentIndex.load(self._fs, self.path, size=self.size)
        if index is None:
            remove_index(self._fs, self.path)
            return SegmentIndex()
        return index

    def indexed_before(self, position: int) -> Iterator[tuple[int, int]]:
        """Indexed batches that begin before `position`, last first: where, and the last offset of each."""
        index = self._index or self._load_index()
        for known, last_offset in index.entries_before(position):
            yield known, self.base_offset + last_offset

    @property
    def max_timestamp_ms(self) -> int:
        """The greatest timestamp of all batches, -1 when none has one. Does not load a finished index."""
        if self._index is None and self.finished:
            found = last_timestamp_ms(self._fs, self.path)
            if found is not None:
                return found
        return self.index.max_timestamp_ms

    def accepts(self, offset: int) -> bool:
        """Whether a batch with this offset can be appended: it follows, and nothing damaged is at the end."""
        if self.damage and self.damage[-1].end >= self.size:
            return False
        return self.size > 0 or self.base_offset == offset

    def drop_index(self) -> None:
        """Forget an index that does not fit the batches; the next use rebuilds it."""
        remove_index(self._fs, self.path)
        self._index = None
        self._indexed = False

    def append(self, data: Buffer, headers: list[tuple[int, BatchHeader]], *, base_offset: int) -> None:
        """Write batches whose headers are at the given places of `data`; the first record gets `base_offset`.

        Raises `FsError` or `DiskFull` with nothing written.
        """
        index = self.index
        self.file.append(data)
        offset = base_offset - self.base_offset
        for place, header in headers:
            last = offset + header.last_offset_delta
            index.add(last_offset=last, position=self.size + place, max_timestamp_ms=header.max_timestamp)
            offset = last + 1
        self.size += len(data)

    def walk(self, position: int, end: int) -> Iterator[tuple[int, BatchHeader]]:
        """The headers of the batches that lie wholly in `position`..`end`. Raises `BrokenBatch`."""
        chunk, chunk_start = b"", position
        expected = self.base_offset if position == 0 else None
        position, expected = self.after_damage(position, expected)
        while position + HEADER_BYTES <= end:
            if not chunk_start <= position <= chunk_start + len(chunk) - HEADER_BYTES:
                chunk, chunk_start = self.file.pread(_WALK_CHUNK_BYTES, position), position
            if len(chunk) - (position - chunk_start) < HEADER_BYTES:
                raise BrokenBatch(self, position)
            header = BatchHeader.parse(chunk, position - chunk_start)
            if not self._is_plausible(header, position, expected):
                raise BrokenBatch(self, position)
            if position + header.size > end:
                return
            yield position, header
            position, expected = self.after_damage(position + header.size, header.next_offset)

    def _is_plausible(self, header: BatchHeader, position: int, expected: int | None) -> bool:
        """The checksum covers neither offset nor length; that offsets have no gaps stands in for it."""
        return (
            header.magic == MAGIC
            and HEADER_BYTES <= header.size <= self.size - position
            and 0 <= header.base_offset - self.base_offset <= RELATIVE_OFFSET_MAX
            and header.last_offset_delta >= 0
            and expected in (None, header.base_offset)
        )

    def after_damage(self, position: int, expected: _Offset) -> tuple[int, _Offset]:
        """The next position to read and the offset that must be there, known damage stepped over."""
        for damage in self.damage:
            if damage.start <= position < damage.end:
                return damage.end, damage.next_offset
        return position, expected

    def read(self, start: int, end: int) -> bytes:
        """The batches between two batch boundaries. Raises `BrokenBatch` instead of serving what has rotted.

        What was appended or read before is not checked again.
        """
        data = self.file.pread(end - start, start)
        first, last = self._checked
        if start >= self.verified_from or first <= start <= end <= last:
            return data
        place, expected = 0, None
        while place < end - start:
            if len(data) - place < HEADER_BYTES:
                raise BrokenBatch(self, start + place)
            header = BatchHeader.parse(data, place)
            if not self._is_plausible(header, start + place, expected) or not crc_matches(
                data, header, place
            ):
                raise BrokenBatch(self, start + place)
            place, expected = place + header.size, header.next_offset
        # Readers mostly go forward: one growing range is memory enough.
        self._checked = (first, max(end, last)) if first <= start <= last else (start, end)
        return data

    def add_damage(self, damage: Damage) -> None:
        """Step over a range from now on."""
        self.damage.append(damage)
        self.damage.sort(key=lambda known: known.start)

    def find(self, offset: int, end: int) -> tuple[int, BatchHeader] | None:
        """The first batch before byte `end` that holds `offset` or, if it was lost, something later."""
        start = self.index.position_for_offset(offset - self.base_offset)
        for position, header in self.walk(start, end):
            if header.last_offset >= offset:
                if header.base_offset > offset and not any(known.end == position for known in self.damage):
                    raise BrokenBatch(self, position)
                return position, header
        return None

    def run_end(self, start: int, limit: int, end: int) -> int:
        """Where the last whole batch ends of the unbroken run that begins with a batch at `start`.

        Not after `limit` nor after `end`, which is a batch boundary; `start` when not one batch fits.
        """
        for damage in self.damage[bisect_right(self.damage, start, key=lambda known: known.start) :][:1]:
            end = min(end, damage.start)
        if limit >= end:
            return end
        reached = start
        for position, header in self.walk(max(start, self.index.position_before(limit)), end):
            if position + header.size > limit:
                return position
            reached = position + header.size
        return reached

    def persist_index(self) -> None:
        """Write out the entries that are not yet. The loop may append at the same time. Raises `FsError`."""
        index = self._index
        if index is not None:
            index.persist(self._fs, self.path)

    def finish_index(self) -> None:
        """Write out the index of a segment that nothing will be appended to. Raises `FsError`.

        One that was dropped since the roll is left to whoever needs it next: that is the loop, and this runs
        beside it.
        """
        index = self._index
        if index is not None and self._indexed:
            index.add_time()
            index.persist(self._fs, self.path)
        self.finished = True

    def truncate(self, size: int) -> None:
        """Cut the segment to `size` bytes; the index is rebuilt."""
        self.file.truncate(size)
        self.size = size
        self.verified_from = min(self.verified_from, size)
        self.drop_index()

    def close(self) -> None:
        """Release the file; it is reopened when needed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def release(self) -> None:
        """Give up what an old segment takes while nobody reads it: an open file and its index in memory.

        On the loop, and only when it is `finished`: the sync thread has no business with it then.
        """
        assert self.finished
        self.close()
        self._index = None
        self._indexed = False

    def remove(self) -> None:
        """Delete the segment and its index."""
        self.close()
        remove_index(self._fs, self.path)
        self._fs.remove(self.path)
