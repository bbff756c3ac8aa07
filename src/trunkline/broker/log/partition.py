"""One partition: append, sync, make visible, read.

Three offsets bound what anyone sees, and only ever grow while the log is open:

    log_start_offset  <=  high_watermark  <=  log_end_offset
    (retention)           (synced)            (appended)

Everything here runs on the loop except `sync`, which a worker thread calls while the loop appends more.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from trunkline.broker.log import times
from trunkline.broker.log.admission import Incoming, Writable, admit
from trunkline.broker.log.checkpoint import Checkpoint
from trunkline.broker.log.errors import AppendRefused, LogStopped, OffsetOutOfRange
from trunkline.broker.log.flushing import Flusher, Mark
from trunkline.broker.log.fs import Fs, FsError
from trunkline.broker.log.index import SegmentIndex
from trunkline.broker.log.old_segments import OldSegments
from trunkline.broker.log.options import UNLIMITED, LogOptions
from trunkline.broker.log.recovery import Recovered, describe, mend, recover
from trunkline.broker.log.segment import RELATIVE_OFFSET_MAX, SEGMENT_BYTES_MAX, BrokenBatch, Segment
from trunkline.broker.log.times import TimestampOffset
from trunkline.broker.protocol.batch import placeholder
from trunkline.broker.protocol.errors import ErrorCode

_LOGGER: Final = logging.getLogger("trunkline.broker.log")

UNKNOWN_EPOCH = -1
UNKNOWN_OFFSET = -1

_T = TypeVar("_T")


class Appended(NamedTuple):
    """Where the records went; a duplicate, the first time. `log_append_time_ms` is -1 for CreateTime."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    duplicate: bool


class PartitionLog:
    """The log of one partition, in a directory of its own."""

    def __init__(self, fs: Fs, directory: Path, *, options: LogOptions, recovered: Recovered) -> None:
        """Use `PartitionLog.open`."""
        self.directory = directory
        self.options = options
        self.recovery = recovered.report(directory)
        self.is_deleted = False
        self.log_start_offset = recovered.log_start_offset
        self.high_watermark = self.log_end_offset = recovered.end_offset
        self._fs = fs
        self._segments = recovered.segments
        self._old = OldSegments()
        self._epochs = recovered.epochs
        self._producers = recovered.producers
        self._flusher = Flusher(
            fs,
            directory,
            mark=self._mark,
            checkpoint=self._checkpoint,
            durable_start=self.log_start_offset,
        )
        self._visible = self._mark()

    @classmethod
    def open(cls, fs: Fs, directory: Path, *, options: LogOptions, now_ms: int) -> "PartitionLog":
        """Open or create the log and recover it; `.recovery` says what was found. Raises `FsError`.

        A created one is there after a crash once the caller has synced the directory above.
        """
        log = cls(fs, directory, options=options, recovered=recover(fs, directory, now_ms=now_ms))
        log._settle(now_ms)
        return log

    def _settle(self, now_ms: int) -> None:
        """Make what recovery decided durable before anyone may read it."""
        if not self._segments[-1].accepts(self.log_end_offset):
            self._roll(now_ms)
        if self.recovery.truncated_bytes or self.recovery.new_damage:
            self._flusher.want_checkpoint()
        if self.recovery.changed:
            for segment in self._segments:
                # An index file may be ahead of what was left of its segment; loading it now finds out.
                self._mending(partial(_load_index, segment))
                self._flusher.wrote(segment, 0)
                if segment is not self._segments[-1] and not segment.finished:
                    self._flusher.rolled(segment)
            self.sync()
        self._old.release_unread(self._segments[:-1])
        self.advance(self.log_end_offset)

    @property
    def leader_epoch(self) -> int:
        """0, and one more after each recovery that cut a torn tail."""
        return self._epochs[-1][0]

    @property
    def durable_start_offset(self) -> int:
        """Where the log starts after a crash: behind `log_start_offset` until a checkpoint was written."""
        return self._flusher.durable_start

    @property
    def size_bytes(self) -> int:
        """The bytes of all segments, without indexes."""
        return sum(segment.size for segment in self._segments)

    @property
    def is_stopped(self) -> bool:
        """Whether a sync failed; appends are refused until the log is opened again."""
        return self._flusher.stopped is not None

    # Appending

    def append(self, data: Writable, *, now_ms: int) -> Appended:
        """Append the batches of one produce request; not yet durable nor visible.

        Base offsets and leader epoch are written into `data`, which then goes to the file in one write. A
        retry of an idempotent producer appends nothing and returns the first offsets. Raises
        `AppendRefused`; nothing was appended then, and the log works on (after a full disk: as soon as there
        is room). Its message is for the client; its cause, when the device refused, for the operator.
        """
        if self._flusher.stopped:
            stopped = LogStopped(self._flusher.stopped)
            raise AppendRefused(ErrorCode.KAFKA_STORAGE_ERROR, stopped.told) from stopped
        incoming = admit(data, options=self.options, producers=self._producers)
        first = incoming.duplicate
        if first is not None:
            return self._appended(first.base_offset, first.last_offset, first.timestamp_ms, duplicate=True)
        base_offset = self.log_end_offset
        incoming.place(data, base_offset=base_offset, leader_epoch=self.leader_epoch)
        if self.options.timestamp_type == "LogAppendTime":
            incoming.stamp(data, now_ms=now_ms)
        try:
            if self._must_roll(len(data), incoming.record_count, now_ms):
                self._roll(now_ms)
            self._write(data, incoming, now_ms)
        except FsError as error:
            raise AppendRefused(ErrorCode.KAFKA_STORAGE_ERROR, error.told) from error
        return self._appended(base_offset, self.log_end_offset - 1, now_ms, duplicate=False)

    def _appended(self, base_offset: int, last_offset: int, time_ms: int, *, duplicate: bool) -> Appended:
        append_time_ms = time_ms if self.options.timestamp_type == "LogAppendTime" else -1
        return Appended(base_offset, last_offset, append_time_ms, duplicate)

    def _write(self, data: Writable, incoming: Incoming, now_ms: int) -> None:
        active = self._segments[-1]
        base_offset = self.log_end_offset
        with self._flusher.lock:
            active.append(data, incoming.batches, base_offset=base_offset)
            if incoming.producer_batch is not None:
                self._producers.record(incoming.producer_batch, base_offset=base_offset, timestamp_ms=now_ms)
            self.log_end_offset += incoming.record_count
            self._flusher.wrote(active, len(data))

    def _must_roll(self, size: int, records: int, now_ms: int) -> bool:
        active = self._segments[-1]
        if not active.accepts(self.log_end_offset):
            return True
        return active.size > 0 and (
            active.size + size > min(self.options.segment_bytes, SEGMENT_BYTES_MAX)
            or self.log_end_offset + records - active.base_offset > RELATIVE_OFFSET_MAX
            or now_ms - active.created_ms > self.options.segment_ms
        )

    def _roll(self, now_ms: int) -> None:
        finished = self._segments[-1]
        # The sync thread will write this index out; it must not have to load it beside the loop.
        self._mending(partial(_load_index, finished))
        fresh = Segment(self._fs, self.directory, self.log_end_offset, created_ms=now_ms)
        with self._flusher.lock:
            self._flusher.rolled(finished)
            self._segments.append(fresh)

    # Making durable and visible

    def sync(self) -> int:
        """Make everything appended before the call durable; returns the offset after it. For a worker thread.

        Raises `LogStopped` when the device fails, now and at every later call: the log takes no more appends
        and shows nothing beyond the high watermark until it is opened again.
        """
        return self._flusher.sync(checkpoint_interval_bytes=self.options.checkpoint_interval_bytes)

    def advance(self, offset: int) -> None:
        """Show everything below `offset`, which a sync (or, with `os` durability, the kernel) has."""
        with self._flusher.lock:
            reached = self._flusher.take_mark(offset)
            if offset == self.log_end_offset:
                reached = self._mark()
        if reached is not None and reached.offset > self.high_watermark:
            self._visible = reached
            self.high_watermark = reached.offset

    def _mark(self) -> Mark:
        return Mark(self.log_end_offset, self._segments[-1], self._segments[-1].size)

    def _checkpoint(self, mark: Mark) -> Checkpoint:
        return Checkpoint(
            log_start_offset=self.log_start_offset,
            offset=mark.offset,
            segment=mark.segment.base_offset,
            position=mark.position,
            segment_created_ms=mark.segment.created_ms,
            epochs=list(self._epochs),
            damage=[damage for segment in self._segments for damage in segment.damage],
            producers=self._producers.snapshot(),
        )

    # Reading

    def read(self, offset: int, max_bytes: int, *, minimum_one: bool = True) -> bytes:
        """Whole visible batches from the one that holds `offset` on, verbatim; empty when there is none.

        At most `max_bytes`, except that the first batch is returned whatever its size with `minimum_one`. The
        first batch may begin before `offset`; after damage it begins behind it. Where damage is all that is
        left, a batch without records stands for it, or readers would wait there for ever. Raises
        `OffsetOutOfRange` and `FsError`.
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(
                offset, log_start_offset=self.log_start_offset, log_end_offset=self.log_end_offset
            )
        return self._mending(lambda: self._read(offset, max_bytes, minimum_one=minimum_one))

    def _read(self, wanted: int, max_bytes: int, *, minimum_one: bool) -> bytes:
        offset = wanted
        while offset < self.high_watermark:
            segment, end, next_base = self._segment_for(offset)
            found = segment.find(offset, end)
            if found is not None:
                start, header = found
                stop = segment.run_end(start, start + max_bytes, end)
                if stop == start and minimum_one:
                    stop = start + header.size
                data = segment.read(start, stop)
                if segment is not self._segments[-1]:
                    self._old.read(segment)
                return data
            offset = next_base
        return placeholder(wanted, self.high_watermark) if wanted < self.high_watermark else b""

    def _segment_for(self, offset: int) -> tuple[Segment, int, int]:
        """The segment for an offset below the high watermark, its visible end and the offset after it."""
        number = bisect_right(self._segments, offset, key=_base_offset) - 1
        segment = self._segments[number]
        if segment is self._visible.segment:
            return segment, self._visible.position, self.high_watermark
        return segment, segment.size, self._segments[number + 1].base_offset

    def offset_for_time(self, timestamp_ms: int) -> TimestampOffset | None:
        """The first visible record at or after a time; None when there is none.

        Exact where the batch can be looked into (uncompressed, gzip); otherwise the start of the first batch
        that may contain it, so that nothing is ever skipped.
        """
        return self._mending(
            lambda: times.first_at_or_after(
                self._segments, timestamp_ms, start=self.log_start_offset, end=self.high_watermark
            )
        )

    def max_timestamp_offset(self) -> TimestampOffset | None:
        """The visible record with the greatest timestamp; None in an empty log."""
        return self._mending(
            lambda: times.latest(self._segments, start=self.log_start_offset, end=self.high_watermark)
        )

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The greatest epoch up to `epoch` and where it ended as far as is visible (KIP-101), or (-1, -1)."""
        number = bisect_right(self._epochs, epoch, key=lambda entry: entry[0]) - 1
        if epoch > self.leader_epoch or number < 0:
            return UNKNOWN_EPOCH, UNKNOWN_OFFSET
        is_last = number == len(self._epochs) - 1
        return self._epochs[number][0], self.high_watermark if is_last else self._epochs[number + 1][1]

    def _mending(self, operation: Callable[[], _T]) -> _T:
        """Run something that walks batches; damage it meets is noted and stepped over. Raises `FsError`."""
        rebuilt = set()
        while True:
            try:
                return operation()
            except BrokenBatch as broken:
                place = (broken.segment.base_offset, broken.position)
                after = bisect_right(self._segments, broken.segment.base_offset, key=_base_offset)
                is_last = after == len(self._segments)
                following = self.log_end_offset if is_last else self._segments[after].base_offset
                damage = mend(broken, following_offset=following)
                if damage is not None:
                    _LOGGER.warning("%s", describe(self.directory, damage))
                    self._flusher.want_checkpoint()
                elif place in rebuilt:
                    raise FsError("read", broken.segment.path, broken) from broken
                else:
                    rebuilt.add(place)

    # Deleting

    def delete_before(self, offset: int) -> int:
        """Forget all records before `offset` (-1: all visible ones); returns the new log start offset.

        Durable after the next `sync` unless no checkpoint could be written, which `durable_start_offset`
        tells. Raises `OffsetOutOfRange` beyond the high watermark.
        """
        target = self.high_watermark if offset == UNLIMITED else offset
        if not 0 <= target <= self.high_watermark:
            raise OffsetOutOfRange(
                offset, log_start_offset=self.log_start_offset, log_end_offset=self.high_watermark
            )
        self._raise_start(target)
        return self.log_start_offset

    def retention(self, now_ms: int) -> bool:
        """Drop the oldest segments that are too old or too much; the next `sync` deletes them.

        Never the active segment, but one that has expired as a whole is closed first. Also forgets producers
        that have been idle for `producer_expiry_ms`, lets go of segments that nobody reads, and asks for a
        checkpoint if there is something new to note. Returns whether a `sync` has anything to do. Raises
        `FsError`.
        """
        with self._flusher.lock:
            self._producers.expire(idle_since_ms=now_ms - self.options.producer_expiry_ms)
        if self._segments[-1].size and self._is_expired(self._segments[-1], now_ms):
            self._roll(now_ms)
        limit = self.options.retention_bytes
        excess = self.size_bytes - limit if limit != UNLIMITED else 0
        start = self.log_start_offset
        for number, segment in enumerate(self._segments[:-1]):
            next_base = self._segments[number + 1].base_offset
            unwanted = 0 < segment.size <= excess or self._is_expired(segment, now_ms)
            if next_base > self.high_watermark or not unwanted:
                break
            excess -= segment.size
            start = next_base
        self._raise_start(start)
        self._old.release_unread(self._segments[:-1])
        return self._flusher.checkpoint_if_changed()

    def _is_expired(self, segment: Segment, now_ms: int) -> bool:
        limit = self.options.retention_ms
        if limit == UNLIMITED:
            return False
        latest = self._mending(lambda: segment.max_timestamp_ms)
        return now_ms - (latest if latest >= 0 else segment.created_ms) > limit

    def _raise_start(self, offset: int) -> None:
        if offset <= self.log_start_offset:
            return
        with self._flusher.lock:
            self.log_start_offset = offset
            self._flusher.want_checkpoint()
            while len(self._segments) > 1 and self._segments[1].base_offset <= offset:
                condemned = self._segments.pop(0)
                self._old.forget(condemned)
                self._flusher.condemn(condemned)

    # Closing

    def close(self) -> None:
        """Sync, leave a checkpoint at the very end, and release the files. The next open scans nothing."""
        if not self.is_stopped:
            self._flusher.want_checkpoint()
            self.advance(self.sync())
        for segment in self._segments:
            segment.close()

    def abandon(self) -> None:
        """Stop for good without writing anything more: the directory is about to be deleted."""
        self.is_deleted = True
        self._flusher.stop(f"{self.directory} was deleted")
        for segment in self._segments:
            segment.close()


def _load_index(segment: Segment) -> SegmentIndex:
    return segment.index


def _base_offset(segment: Segment) -> int:
    return segment.base_offset
