"""Finding batches by their content: which bytes of a segment are valid, and where the next one begins.

A batch has magic 2, a plausible offset and length, and a matching CRC-32C. Offset and length are not under
the checksum; that offsets follow each other without gaps stands in for it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from trunkline.broker.log.segment import RELATIVE_OFFSET_MAX, Segment
from trunkline.broker.protocol.batch import HEADER_BYTES, MAGIC, BatchHeader, crc_matches

SCAN_CHUNK_BYTES = 2**20

_MAGIC_PLACE = 16
"""Where the magic byte is in a batch (record batch format v2)."""


class Found(NamedTuple):
    """A valid batch and where it begins."""

    position: int
    header: BatchHeader

    @property
    def end(self) -> int:
        """Where the bytes after it begin."""
        return self.position + self.header.size


def verified(segment: Segment, position: int, offset: int) -> Iterator[Found]:
    """The batches from `position` on as long as each is valid and follows the last; the first has `offset`.

    Damage that is known is stepped over.
    """
    while True:
        position, offset = segment.after_damage(position, offset)
        chunk = segment.file.pread(SCAN_CHUNK_BYTES, position)
        place = 0
        while (header := _batch_in(chunk, place, offset)) is not None:
            yield Found(position + place, header)
            place, offset = place + header.size, header.next_offset
            if segment.damage and segment.after_damage(position + place, offset)[0] != position + place:
                break
        if place == 0:
            large = valid_batch(segment, position)
            if large is None or large.base_offset != offset:
                return
            yield Found(position, large)
            place, offset = large.size, large.next_offset
        position += place


def _batch_in(chunk: bytes, place: int, offset: int) -> BatchHeader | None:
    """The header of the batch at `place` if all of it is in the chunk, valid, and has this base offset."""
    if len(chunk) - place < HEADER_BYTES:
        return None
    header = BatchHeader.parse(chunk, place)
    if header.magic != MAGIC or header.base_offset != offset or header.last_offset_delta < 0:
        return None
    if not HEADER_BYTES <= header.size <= len(chunk) - place:
        return None
    return header if crc_matches(chunk, header, place) else None


def valid_batch(segment: Segment, position: int) -> BatchHeader | None:
    """The header of the batch at `position` if it is whole, its CRC matches and it can be of this segment."""
    prefix = segment.file.pread(HEADER_BYTES, position)
    if len(prefix) < HEADER_BYTES or prefix[_MAGIC_PLACE] != MAGIC:
        return None
    header = BatchHeader.parse(prefix)
    if not HEADER_BYTES <= header.size <= segment.size - position or header.last_offset_delta < 0:
        return None
    if not 0 <= header.base_offset - segment.base_offset <= RELATIVE_OFFSET_MAX:
        return None
    return header if crc_matches(segment.file.pread(header.size, position), header) else None


def resynchronise(segment: Segment, position: int, offset_min: int) -> Found | None:
    """The first valid batch after the broken one at `position`; None when none follows."""
    for candidate in _candidates(segment, position):
        header = valid_batch(segment, candidate)
        if header is not None and header.base_offset >= offset_min:
            return Found(candidate, header)
    return None


def _candidates(segment: Segment, start: int) -> Iterator[int]:
    """Where a batch may begin: where the one at `start` claims to end, then wherever a magic byte fits."""
    prefix = segment.file.pread(HEADER_BYTES, start)
    if len(prefix) == HEADER_BYTES and BatchHeader.parse(prefix).size > 0:
        yield start + BatchHeader.parse(prefix).size
    magic = bytes((MAGIC,))
    start += 1
    while start + HEADER_BYTES <= segment.size:
        chunk = segment.file.pread(SCAN_CHUNK_BYTES, start)
        place = chunk.find(magic, _MAGIC_PLACE)
        while place >= 0:
            yield start + place - _MAGIC_PLACE
            place = chunk.find(magic, place + 1)
        start += max(len(chunk) - _MAGIC_PLACE, 1)
