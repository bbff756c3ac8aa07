"""Searching a log by time. Looks into one batch, where its compression allows that."""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trunkline.broker.log.segment import Segment
from trunkline.broker.protocol.batch import (
    CODEC_GZIP,
    CODEC_NONE,
    HEADER_BYTES,
    TIMESTAMP_TYPE_FLAG,
    BatchHeader,
)

INFLATED_BYTES_MAX = 64 * 2**20
"""A batch that inflates beyond this is not looked into; its first offset is the answer."""

_VARINT_BYTES_MAX = 10


class TimestampOffset(NamedTuple):
    """A record's timestamp (Unix milliseconds) and offset, and the leader epoch it was written in."""

    timestamp_ms: int
    offset: int
    leader_epoch: int


def first_at_or_after(
    segments: Sequence[Segment], timestamp_ms: int, *, start: int, end: int
) -> TimestampOffset | None:
    """The first record in offsets `start`..`end` whose time is `timestamp_ms` or later."""
    for segment in segments:
        if segment.index.max_timestamp_ms < timestamp_ms:
            continue
        offset = segment.index.offset_before_time(timestamp_ms)
        for position, header in segment.walk(segment.index.position_for_offset(offset), segment.size):
            if header.base_offset >= end:
                return None
            if header.max_timestamp >= timestamp_ms and header.last_offset >= start:
                found = _first_in_batch(segment, position, header, timestamp_ms, start)
                if found is not None and found.offset < end:
                    return found
    return None


def latest(segments: Sequence[Segment], *, start: int, end: int) -> TimestampOffset | None:
    """The first of the records with the greatest timestamp in offsets `start`..`end`."""
    best: TimestampOffset | None = None
    for segment in segments:
        if best is None or segment.index.max_timestamp_ms > best.timestamp_ms:
            best = _latest_in_segment(segment, best, start, end)
    return best


def _latest_in_segment(
    segment: Segment, best: TimestampOffset | None, start: int, end: int
) -> TimestampOffset | None:
    for position, header in segment.walk(0, segment.size):
        if header.last_offset < start or header.base_offset >= end:
            continue
        if best is None or header.max_timestamp > best.timestamp_ms:
            best = _first_in_batch(segment, position, header, header.max_timestamp, start) or best
    return best


def _first_in_batch(
    segment: Segment, position: int, header: BatchHeader, timestamp_ms: int, start: int
) -> TimestampOffset | None:
    if header.attributes & TIMESTAMP_TYPE_FLAG:
        # LogAppendTime: all records have the time of the batch.
        return TimestampOffset(header.max_timestamp, max(header.base_offset, start), header.leader_epoch)
    records = _inflated(segment.file.pread(header.size, position), header)
    if records is None:
        # The batch's own maximum is promised to be real; its base timestamp would claim too early a record.
        stamp = max(timestamp_ms, header.base_timestamp)
        return TimestampOffset(stamp, max(header.base_offset, start), header.leader_epoch)
    for delta_ms, offset_delta in _deltas(records, header.record_count):
        stamp, offset = header.base_timestamp + delta_ms, header.base_offset + offset_delta
        if stamp >= timestamp_ms and offset >= start:
            return TimestampOffset(stamp, offset, header.leader_epoch)
    return None


def _inflated(batch: bytes, header: BatchHeader) -> bytes | None:
    if header.codec == CODEC_NONE:
        return batch[HEADER_BYTES:]
    if header.codec == CODEC_GZIP:
        inflater = zlib.decompressobj(wbits=31)
        try:
            records = inflater.decompress(batch[HEADER_BYTES:], INFLATED_BYTES_MAX)
        except zlib.error:
            return None
        return records if inflater.eof else None
    return None


def _deltas(records: bytes, count: int) -> Iterator[tuple[int, int]]:
    """(timestamp delta, offset delta) of each record; ends early where the records are malformed."""
    position = 0
    for _ in range(count):
        try:
            length, position = _varint(records, position)
            delta_ms, place = _varint(records, position + 1)
            offset_delta, _end = _varint(records, place)
        except IndexError:
            return
        yield delta_ms, offset_delta
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag-encoded integer and the position after it."""
    value = 0
    for shift in range(0, 7 * _VARINT_BYTES_MAX, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return (value >> 1) ^ -(value & 1), position
