"""Searching a log by time. Looks into one batch, where its compression allows that."""

from collections.abc import Sequence
from typing import NamedTuple

from trunkline.broker.log.segment import Segment
from trunkline.broker.protocol.batch import TIMESTAMP_TYPE_FLAG, BatchHeader, InvalidBatch
from trunkline.broker.protocol.records import records


class TimestampOffset(NamedTuple):
    """A record's timestamp (Unix milliseconds) and offset, and the leader epoch it was written in."""

    timestamp_ms: int
    offset: int
    leader_epoch: int


def first_at_or_after(
    segments: Sequence[Segment], timestamp_ms: int, *, start: int, end: int
) -> TimestampOffset | None:
    """The first record in offsets `start`..`end` (not included) whose time is `timestamp_ms` or later."""
    for segment in segments:
        if segment.max_timestamp_ms < timestamp_ms:
            continue
        offset = segment.index.offset_before_time(timestamp_ms)
        for position, header in segment.walk(segment.index.position_for_offset(offset), segment.size):
            if header.base_offset >= end:
                return None
            if header.max_timestamp >= timestamp_ms and header.last_offset >= start:
                found = _first_in_batch(segment, position, header, timestamp_ms, start)
                if found is not None:
                    return found
    return None


def latest(segments: Sequence[Segment], *, start: int, end: int) -> TimestampOffset | None:
    """The first of the records with the greatest timestamp in offsets `start`..`end` (not included)."""
    best: TimestampOffset | None = None
    for segment in segments:
        if best is not None and segment.max_timestamp_ms <= best.timestamp_ms:
            continue
        found = _latest_batch(segment, start, end)
        if found is not None and (best is None or found[1].max_timestamp > best.timestamp_ms):
            position, header = found
            best = _first_in_batch(segment, position, header, header.max_timestamp, start) or best
    return best


def _latest_batch(segment: Segment, start: int, end: int) -> tuple[int, BatchHeader] | None:
    """The batch with the greatest timestamp that is wholly inside `start`..`end`."""
    indexed = segment.find(segment.base_offset + segment.index.max_timestamp_offset, segment.size)
    if indexed is not None and start <= indexed[1].base_offset and indexed[1].last_offset < end:
        return indexed
    return max(
        (
            (position, header)
            for position, header in segment.walk(0, segment.size)
            if header.last_offset >= start and header.last_offset < end
        ),
        key=lambda found: found[1].max_timestamp,
        default=None,
    )


def _first_in_batch(
    segment: Segment, position: int, header: BatchHeader, timestamp_ms: int, start: int
) -> TimestampOffset | None:
    epoch = header.leader_epoch
    if header.attributes & TIMESTAMP_TYPE_FLAG:
        # LogAppendTime: all records have the time of the batch.
        return TimestampOffset(header.max_timestamp, max(header.base_offset, start), epoch)
    try:
        for record in records(segment.file.pread(header.size, position)):
            if record.timestamp >= timestamp_ms and record.offset >= start:
                return TimestampOffset(record.timestamp, record.offset, epoch)
    except InvalidBatch:
        # A codec that the standard library lacks: the record may be anywhere in here, so begin at the start.
        return TimestampOffset(
            max(timestamp_ms, header.base_timestamp), max(header.base_offset, start), epoch
        )
    return None
