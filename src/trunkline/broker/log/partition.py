"""One partition: append, sync, make visible, read.

Three offsets bound what anyone sees, and only ever grow while the log is open:

    log_start_offset  <=  high_watermark  <=  log_end_offset
    (retention)           (synced)            (appended)

Everything here runs on the loop except `sync`, which a worker thread calls while the loop appends more; the lock
covers the few fields both touch and is never held during a sync. Work that takes time but that nobody waits for
(index files, checkpoint, deleting old segments) rides along with the sync.
"""

from bisect import bisect_right
from collections import deque
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from trunkline.broker.log import times
from trunkline.broker.log.admission import Incoming, Writable, admit
from trunkline.broker.log.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from trunkline.broker.log.errors import AppendRefused, LogStopped, OffsetOutOfRange
from trunkline.broker.log.fs import Fs, FsError
from trunkline.broker.log.options import UNLIMITED, LogOptions
from trunkline.broker.log.producers import ProducerBatch, Producers
from trunkline.broker.log.recovery import RecoveryReport, recover
from trunkline.broker.log.segment import (
    RELATIVE_OFFSET_MAX,
    SEGMENT_BYTES_MAX,
    Segment,
)
from trunkline.broker.log.times import TimestampOffset
from trunkline.broker.protocol.batch import NO_PRODUCER_ID, BatchHeader
from trunkline.broker.protocol.errors import ErrorCode

UNKNOWN_EPOCH = -1
UNKNOWN_OFFSET = -1


class Appended(NamedTuple):
    """Where the records went. A duplicate went there the first time; `log_append_time_ms` is -1 for CreateTime."""

    base_offset: int
    last_offset: int
    log_append_time_ms: int
    duplicate: bool


class _Mark(NamedTuple):
    """A state of the log that a sync makes durable: up to `offset`, which is byte `position` of `segment`."""

    offset: int
    segment: Segment
    position: int


class PartitionLog:
    """The log of one partition, in a directory of its own."""

    def __init__(
        self,
        fs: Fs,
        directory: Path,
        *,
        options: LogOptions,
        segments: list[Segment],
        end_offset: int,
        log_start_offset: int,
        epochs: list[tuple[int, int]],
        producers: Producers,
        recovery: RecoveryReport,
    ) -> None:
        """Use `PartitionLog.open`."""
        self.directory = directory
        self.options = options
        self.recovery = recovery
        self.log_start_offset = log_start_offset
        self.high_watermark = end_offset
        self.log_end_offset = end_offset
        self._fs = fs
        self._segments = segments
        self._epochs = epochs
        self._producers = producers
        self._visible = _Mark(end_offset, segments[-1], segments[-1].size)
        self._marks: deque[_Mark] = deque()
        self._lock = Lock()
        self._syncing = Lock()
        self._stopped: str | None = None
        self._dirty: list[Segment] = []
        self._names_changed = False
        self._checkpoint_wanted = False
        self._unchecked_bytes = 0
        self._condemned: list[Segment] = []

    @classmethod
    def open(cls, fs: Fs, directory: Path, *, options: LogOptions, now_ms: int) -> "PartitionLog":
        """Open or create the log and recover it; `.recovery` says what was found. Raises `FsError`."""
        created = not fs.exists(directory)
        if created:
            fs.mkdir(directory)
            fs.sync_dir(directory.parent)
        checkpoint = read_checkpoint(fs, directory)
        segments = _find_segments(fs, directory, checkpoint, now_ms)
        producers = Producers(checkpoint.producers if checkpoint else [])
        outcome = recover(
            segments, checkpoint, on_batch=lambda header: _remember(producers, header, now_ms=now_ms)
        )
        damage = tuple(damage for segment in segments for damage in segment.damage)
        epochs = list(checkpoint.epochs) if checkpoint else [(0, segments[0].base_offset)]
        if outcome.truncated_bytes:
            epochs.append((epochs[-1][0] + 1, outcome.end_offset))
        log = cls(
            fs,
            directory,
            options=options,
            segments=segments,
            end_offset=outcome.end_offset,
            log_start_offset=checkpoint.log_start_offset if checkpoint else segments[0].base_offset,
            epochs=epochs,
            producers=producers,
            recovery=RecoveryReport(
                directory=directory,
                scanned_bytes=outcome.scanned_bytes,
                truncated_bytes=outcome.truncated_bytes,
                damage=damage,
            ),
        )
        log._settle(
            now_ms, scanned=bool(outcome.scanned_bytes or outcome.truncated_bytes or outcome.new_damage)
        )
        return log

    def _settle(self, now_ms: int, *, scanned: bool) -> None:
        """Make what recovery decided durable before anyone may read it."""
        active = self._segments[-1]
        if (active.damage and active.damage[-1].end >= active.size) or (
            active.size == 0 and active.base_offset != self.log_end_offset
        ):
            self._roll(now_ms)
        if scanned:
            self._dirty = list(self._segments)
            self._checkpoint_wanted = True
        self._names_changed = True
        self.sync()
        self.advance(self.log_end_offset)

    @property
    def leader_epoch(self) -> int:
        """0, and one more after each recovery that cut a torn tail."""
        return self._epochs[-1][0]

    @property
    def size_bytes(self) -> int:
        """The bytes of all segments, without indexes."""
        return sum(segment.size for segment in self._segments)

    # Appending

    def append(self, data: Writable, *, now_ms: int) -> Appended:
        """Append the batches of one produce request; not yet durable nor visible.

        Base offsets and leader epoch are written into `data`, which then goes to the file in one write. A retry of
        an idempotent producer appends nothing and returns the first offsets. Raises `AppendRefused`; nothing was
        appended then, and the log works on (after a full disk: as soon as there is room).
        """
        if self._stopped:
            raise AppendRefused(ErrorCode.KAFKA_STORAGE_ERROR, self._stopped)
        incoming = admit(data, options=self.options, producers=self._producers)
        if incoming.duplicate is not None:
            first = incoming.duplicate
            return Appended(first.base_offset, first.last_offset, self._append_time(first.timestamp_ms), True)
        base_offset = self.log_end_offset
        incoming.place(data, base_offset=base_offset, leader_epoch=self.leader_epoch)
        if self.options.timestamp_type == "LogAppendTime":
            incoming.stamp(data, now_ms=now_ms)
        try:
            if self._must_roll(len(data), incoming.record_count, now_ms):
                self._roll(now_ms)
            self._write(data, incoming, now_ms)
        except FsError as error:
            raise AppendRefused(ErrorCode.KAFKA_STORAGE_ERROR, str(error)) from error
        return Appended(base_offset, self.log_end_offset - 1, self._append_time(now_ms), False)

    def _append_time(self, now_ms: int) -> int:
        return now_ms if self.options.timestamp_type == "LogAppendTime" else -1

    def _write(self, data: Writable, incoming: Incoming, now_ms: int) -> None:
        with self._lock:
            active = self._segments[-1]
            active.append(data, incoming.batches, base_offset=self.log_end_offset)
            if incoming.producer_batch is not None:
                self._producers.record(
                    incoming.producer_batch, base_offset=self.log_end_offset, timestamp_ms=now_ms
                )
            self.log_end_offset += incoming.record_count
            self._unchecked_bytes += len(data)
            self._mark_dirty(active)

    def _mark_dirty(self, segment: Segment) -> None:
        if not segment.dirty:
            segment.dirty = True
            self._dirty.append(segment)

    def _must_roll(self, size: int, records: int, now_ms: int) -> bool:
        active = self._segments[-1]
        if active.size == 0:
            return False
        return (
            active.size + size > min(self.options.segment_bytes, SEGMENT_BYTES_MAX)
            or self.log_end_offset + records - active.base_offset > RELATIVE_OFFSET_MAX
            or now_ms - active.created_ms > self.options.segment_ms
        )

    def _roll(self, now_ms: int) -> None:
        fresh = Segment(self._fs, self.directory, self.log_end_offset, created_ms=now_ms)
        with self._lock:
            self._segments.append(fresh)
            self._names_changed = True
            self._checkpoint_wanted = True

    # Making durable and visible

    def sync(self) -> int:
        """Make everything appended before the call durable; returns the offset after it. For a worker thread.

        Raises `LogStopped` when the device fails, now and at every later call: the log takes no more appends and
        shows nothing beyond the high watermark until it is opened again.
        """
        with self._syncing:
            with self._lock:
                if self._stopped:
                    raise LogStopped(self._stopped)
                mark = _Mark(self.log_end_offset, self._segments[-1], self._segments[-1].size)
                dirty, self._dirty = self._dirty, []
                for segment in dirty:
                    segment.dirty = False
                names_changed, self._names_changed = self._names_changed, False
                checkpoint = self._checkpoint_due(mark)
            try:
                for segment in dirty:
                    segment.file.sync()
                if names_changed:
                    self._fs.sync_dir(self.directory)
            except OSError as error:
                self._stopped = f"{error}; the partition is stopped until the broker is restarted"
                raise LogStopped(self._stopped) from error
            with self._lock:
                self._marks.append(mark)
            if checkpoint is not None:
                self._housekeep(checkpoint)
            return mark.offset

    def advance(self, offset: int) -> None:
        """Show everything below `offset`, which a sync (or, with `os` durability, the kernel) has."""
        with self._lock:
            while self._marks and self._marks[0].offset <= offset:
                mark = self._marks.popleft()
                if mark.offset >= self._visible.offset:
                    self._visible = mark
            if offset == self.log_end_offset:
                self._visible = _Mark(offset, self._segments[-1], self._segments[-1].size)
            self.high_watermark = max(self.high_watermark, self._visible.offset)

    def _checkpoint_due(self, mark: _Mark) -> Checkpoint | None:
        if not self._checkpoint_wanted and self._unchecked_bytes < self.options.checkpoint_interval_bytes:
            return None
        self._checkpoint_wanted = False
        self._unchecked_bytes = 0
        return self._checkpoint_at(mark)

    def _checkpoint_at(self, mark: _Mark) -> Checkpoint:
        return Checkpoint(
            log_start_offset=self.log_start_offset,
            offset=mark.offset,
            segment=mark.segment.base_offset,
            position=mark.position,
            epochs=list(self._epochs),
            damage=[damage for segment in self._segments for damage in segment.damage],
            producers=self._producers.snapshot(),
        )

    def _housekeep(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint, then what it allows: index files, and the end of condemned segments.

        Nothing of this is needed to be correct (a restart scans more, an index is rebuilt, a file stays), so a
        device that refuses it stops nobody.
        """
        try:
            write_checkpoint(self._fs, self.directory, checkpoint)
            while self._condemned:
                self._condemned.pop().remove()
        except OSError:
            self._checkpoint_wanted = True

    # Reading

    def read(self, offset: int, max_bytes: int, *, minimum_one: bool = True) -> bytes:
        """Whole visible batches from the one that holds `offset` on, verbatim; empty when there is none.

        At most `max_bytes`, except that the first batch is returned whatever its size with `minimum_one`. The first
        batch may begin before `offset`; after damage it begins behind it. Raises `OffsetOutOfRange` and `FsError`.
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(
                offset, log_start_offset=self.log_start_offset, log_end_offset=self.log_end_offset
            )
        while offset < self.high_watermark:
            segment, end, next_base = self._segment_for(offset)
            found = segment.find(offset, end)
            if found is not None:
                start, header = found
                stop = segment.run_end(start, start + max_bytes, end)
                if stop == start and minimum_one:
                    stop = start + header.size
                return segment.file.pread(stop - start, start)
            offset = next_base
        return b""

    def _segment_for(self, offset: int) -> tuple[Segment, int, int]:
        """The segment for an offset below the high watermark, its visible end and the next one's base offset."""
        number = bisect_right(self._segments, offset, key=_base_offset) - 1
        segment = self._segments[number]
        if segment is self._visible.segment:
            return segment, self._visible.position, self.high_watermark
        return segment, segment.size, self._segments[number + 1].base_offset

    def offset_for_time(self, timestamp_ms: int) -> TimestampOffset | None:
        """The first visible record at or after a time; None when there is none.

        Exact where the batch can be looked into (uncompressed, gzip); otherwise the start of the first batch that
        may contain it, so that nothing is ever skipped.
        """
        return times.first_at_or_after(
            self._segments, timestamp_ms, start=self.log_start_offset, end=self.high_watermark
        )

    def max_timestamp_offset(self) -> TimestampOffset | None:
        """The visible record with the greatest timestamp; None in an empty log."""
        return times.latest(self._segments, start=self.log_start_offset, end=self.high_watermark)

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The greatest epoch not after `epoch` and the offset at which it ended (KIP-101); (-1, -1) if unknown."""
        if epoch > self.leader_epoch:
            return UNKNOWN_EPOCH, UNKNOWN_OFFSET
        number = bisect_right(self._epochs, epoch, key=lambda entry: entry[0]) - 1
        if number < 0:
            return UNKNOWN_EPOCH, UNKNOWN_OFFSET
        last = number == len(self._epochs) - 1
        return self._epochs[number][0], self.log_end_offset if last else self._epochs[number + 1][1]

    # Deleting

    def delete_before(self, offset: int) -> int:
        """Forget all records before `offset` (-1: all visible ones); returns the new log start offset.

        Durable after the next `sync`. Raises `OffsetOutOfRange` beyond the high watermark.
        """
        target = self.high_watermark if offset == UNLIMITED else offset
        if not 0 <= target <= self.high_watermark:
            raise OffsetOutOfRange(
                offset, log_start_offset=self.log_start_offset, log_end_offset=self.high_watermark
            )
        self._raise_start(target)
        return self.log_start_offset

    def retention(self, now_ms: int) -> bool:
        """Drop the oldest segments that are too old or too much; whether any was, and a `sync` deletes it.

        Never the active segment, but one that has expired as a whole is closed first. Also forgets producers that
        have been idle for `producer_expiry_ms`.
        """
        with self._lock:
            self._producers.expire(idle_since_ms=now_ms - self.options.producer_expiry_ms)
        if self._segments[-1].size and self._is_expired(self._segments[-1], now_ms):
            self._roll(now_ms)
        start = self.log_start_offset
        excess = self.size_bytes - self.options.retention_bytes
        for number, segment in enumerate(self._segments[:-1]):
            next_base = self._segments[number + 1].base_offset
            too_much = self.options.retention_bytes != UNLIMITED and excess >= segment.size
            if next_base > self.high_watermark or not (too_much or self._is_expired(segment, now_ms)):
                break
            excess -= segment.size
            start = next_base
        return self._raise_start(start)

    def _is_expired(self, segment: Segment, now_ms: int) -> bool:
        latest = segment.index.max_timestamp_ms
        return (
            self.options.retention_ms != UNLIMITED
            and now_ms - (latest if latest >= 0 else segment.created_ms) > self.options.retention_ms
        )

    def _raise_start(self, offset: int) -> bool:
        if offset <= self.log_start_offset:
            return False
        with self._lock:
            self.log_start_offset = offset
            while len(self._segments) > 1 and self._segments[1].base_offset <= offset:
                self._condemned.append(self._segments.pop(0))
            self._checkpoint_wanted = True
        return True

    # Closing

    def close(self) -> None:
        """Sync, leave a checkpoint at the very end, and release the files. The next open scans nothing."""
        if not self._stopped:
            with self._lock:
                self._checkpoint_wanted = True
            self.advance(self.sync())
        for segment in self._segments:
            segment.close()

    def abandon(self) -> None:
        """Stop for good without writing anything more: the directory is about to be deleted."""
        with self._syncing:
            self._stopped = f"{self.directory} was deleted"
            for segment in self._segments:
                segment.close()


def _base_offset(segment: Segment) -> int:
    return segment.base_offset


def _find_segments(fs: Fs, directory: Path, checkpoint: Checkpoint | None, now_ms: int) -> list[Segment]:
    """The segments in order, the first one created if there is none; leftovers of half-done work are removed."""
    names = fs.listdir(directory)
    logs = {name for name in names if name.endswith(".log")}
    for name in names:
        is_orphan = name.endswith((".index", ".timeindex")) and Path(name).stem + ".log" not in logs
        if is_orphan or name.endswith(".tmp"):
            fs.remove(directory / name)
    bases = sorted(int(name.removesuffix(".log")) for name in logs) or [
        checkpoint.offset if checkpoint else 0
    ]
    segments = [Segment(fs, directory, base, created_ms=now_ms) for base in bases]
    for damage in checkpoint.damage if checkpoint else []:
        for segment in segments:
            if segment.base_offset == damage.segment:
                segment.add_damage(damage)
    return segments


def _remember(producers: Producers, header: BatchHeader, *, now_ms: int) -> None:
    if header.producer_id != NO_PRODUCER_ID:
        batch = ProducerBatch(
            header.producer_id, header.producer_epoch, header.base_sequence, header.record_count
        )
        producers.record(batch, base_offset=header.base_offset, timestamp_ms=now_ms)
