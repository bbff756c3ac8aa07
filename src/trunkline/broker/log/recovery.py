"""Recovery: which of the bytes found after a restart are the log.

What lies before the checkpoint was synced and is trusted; what lies after it is read batch by batch with its
CRC. Bytes that are no valid batch are then one of two things:

- **A torn tail**: nothing valid follows and no byte of it was known to be synced. That is what a crash in
  the middle of an append leaves. It was never acknowledged; it is cut off and reported, and the leader epoch
  goes up so that a consumer that saw another history notices (KIP-320).
- **Damage**: valid batches follow, or the bytes had been synced. Nothing is cut: the bytes stay for whoever
  can repair them, the range is reported, everything before and after it is served. Truncating at the first
  bad CRC, as Kafka does because it has replicas, would here throw away good acknowledged records.

After damage the next batch is found by its neighbour's length or, when that too is damaged, by trying every
byte (`scanning`).
"""

from dataclasses import dataclass, field
from pathlib import Path

from trunkline.broker.log.checkpoint import Checkpoint, read_checkpoint
from trunkline.broker.log.fs import Fs
from trunkline.broker.log.producers import ProducerBatch, Producers
from trunkline.broker.log.scanning import resynchronise, valid_batch, verified
from trunkline.broker.log.segment import BrokenBatch, Damage, Segment
from trunkline.broker.protocol.batch import NO_PRODUCER_ID, BatchHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What recovery found in one partition. `damage` is all that is known, not only what is new."""

    directory: Path
    created: bool = False
    scanned_bytes: int = 0
    truncated_bytes: int = 0
    damage: tuple[Damage, ...] = ()
    new_damage: tuple[Damage, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was found that the checkpoint did not know."""
        return bool(self.scanned_bytes or self.truncated_bytes or self.new_damage)

    @property
    def is_clean(self) -> bool:
        """Nothing was lost and nothing is broken."""
        return not self.created and not self.truncated_bytes and not self.damage

    def lines(self) -> list[str]:
        """One sentence for the operator about everything that is not as it should be in a known partition."""
        lines = []
        if self.created:
            lines.append(f"{self.directory}: was missing; the partition begins again, empty")
        if self.truncated_bytes:
            lines.append(
                f"{self.directory}: cut {self.truncated_bytes} bytes of an unfinished write off the end"
            )
        lines.extend(describe(self.directory, damage) for damage in self.damage)
        return lines


def describe(directory: Path, damage: Damage) -> str:
    """One sentence for the operator about a damaged range."""
    return (
        f"{directory}: bytes {damage.start}..{damage.end} of segment {damage.segment} are damaged; "
        f"offsets {damage.first_offset}..{damage.next_offset - 1} cannot be read; the bytes were kept"
    )


@dataclass(slots=True, kw_only=True)
class Recovered:
    """The state of a partition as the bytes tell it."""

    created: bool
    segments: list[Segment]
    producers: Producers
    log_start_offset: int
    end_offset: int
    epochs: list[tuple[int, int]]
    now_ms: int
    scanned_bytes: int = 0
    truncated_bytes: int = 0
    new_damage: list[Damage] = field(default_factory=list)

    def report(self, directory: Path) -> RecoveryReport:
        """What to tell the operator."""
        return RecoveryReport(
            directory=directory,
            created=self.created,
            scanned_bytes=self.scanned_bytes,
            truncated_bytes=self.truncated_bytes,
            damage=tuple(damage for segment in self.segments for damage in segment.damage),
            new_damage=tuple(self.new_damage),
        )

    def take(self, header: BatchHeader) -> None:
        """Count a valid batch in."""
        if header.producer_id != NO_PRODUCER_ID:
            batch = ProducerBatch(
                header.producer_id, header.producer_epoch, header.base_sequence, header.record_count
            )
            self.producers.record(batch, base_offset=header.base_offset, timestamp_ms=self.now_ms)
        if header.leader_epoch > self.epochs[-1][0]:
            self.epochs.append((header.leader_epoch, header.base_offset))
        self.scanned_bytes += header.size
        self.end_offset = header.next_offset

    def keep(self, segment: Segment, start: int, end: int, *, next_offset: int) -> None:
        """Note a damaged range, after which the log goes on at `next_offset`."""
        damage = Damage(segment.base_offset, start, end, self.end_offset, next_offset)
        segment.add_damage(damage)
        self.new_damage.append(damage)
        self.end_offset = next_offset

    def cut(self, number: int, position: int) -> None:
        """Remove everything from byte `position` of a segment on."""
        self.truncated_bytes += self.segments[number].size - position
        self.segments[number].truncate(position)
        for later in self.segments[number + 1 :]:
            self.truncated_bytes += later.size
            later.remove()
        del self.segments[number + 1 :]
        self.epochs.append((self.epochs[-1][0] + 1, self.end_offset))


def recover(fs: Fs, directory: Path, *, now_ms: int) -> Recovered:
    """Read or create a partition's directory; decide about all past its checkpoint. Raises `FsError`."""
    created = not fs.exists(directory)
    if created:
        fs.mkdir(directory)
    checkpoint = read_checkpoint(fs, directory)
    segments = _find_segments(fs, directory, checkpoint, now_ms)
    first = segments[0].base_offset
    recovered = Recovered(
        created=created,
        segments=segments,
        producers=Producers(checkpoint.producers if checkpoint else []),
        log_start_offset=max(first, checkpoint.log_start_offset) if checkpoint else first,
        end_offset=checkpoint.offset if checkpoint else first,
        epochs=list(checkpoint.epochs) if checkpoint else [(0, first)],
        now_ms=now_ms,
    )
    _recover_segments(recovered, checkpoint)
    return recovered


def _find_segments(fs: Fs, directory: Path, checkpoint: Checkpoint | None, now_ms: int) -> list[Segment]:
    """The segments in order, the first created if there is none; leftovers of half-done work go."""
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
    if checkpoint is not None:
        for segment in segments:
            _apply(checkpoint, segment)
    return segments


def _apply(checkpoint: Checkpoint, segment: Segment) -> None:
    segment.finished = segment.base_offset < checkpoint.segment
    if segment.base_offset == checkpoint.segment:
        segment.created_ms = checkpoint.segment_created_ms
    for damage in checkpoint.damage:
        if damage.segment == segment.base_offset:
            segment.add_damage(damage)


def _recover_segments(recovered: Recovered, checkpoint: Checkpoint | None) -> None:
    segments = recovered.segments
    for number, segment in enumerate(segments):
        trusted = _trusted_bytes(segment, checkpoint)
        if trusted is None:
            continue
        recovered.end_offset = max(recovered.end_offset, segment.base_offset)
        segment.verified_from = min(trusted, segment.size)
        bad = _scan(segment, trusted, recovered)
        if bad is None:
            continue
        following = [later for later in segments[number + 1 :] if _holds_batches(later, 0)]
        if following:
            recovered.keep(segment, bad, segment.size, next_offset=following[0].base_offset)
        elif bad < trusted or _holds_batches(segment, bad):
            end_offset = max(checkpoint.offset if checkpoint else 0, recovered.end_offset)
            recovered.keep(segment, bad, segment.size, next_offset=end_offset)
        else:
            recovered.cut(number, bad)
            break


def _trusted_bytes(segment: Segment, checkpoint: Checkpoint | None) -> int | None:
    """How much of the segment needs no scan; None for all of it."""
    if checkpoint is None or segment.base_offset > checkpoint.segment:
        return 0
    if segment.base_offset < checkpoint.segment:
        return None
    return checkpoint.position


def _scan(segment: Segment, trusted: int, recovered: Recovered) -> int | None:
    """Check every batch past `trusted`; the position from which on nothing is valid, or None."""
    position = trusted
    if segment.size < trusted:
        return _end_of_batches(segment, recovered)
    while True:
        for found in verified(segment, position, recovered.end_offset):
            recovered.take(found.header)
            position = found.end
        if position >= segment.size:
            return None
        after = resynchronise(segment, position, recovered.end_offset)
        if after is None:
            return position
        recovered.keep(segment, position, after.position, next_offset=after.header.base_offset)
        position = after.position


def _end_of_batches(segment: Segment, recovered: Recovered) -> int:
    """Where the whole batches end in a segment that lost synced bytes."""
    position, recovered.end_offset = 0, segment.base_offset
    for found in verified(segment, 0, segment.base_offset):
        position, recovered.end_offset = found.end, found.header.next_offset
    return position


def _holds_batches(segment: Segment, position: int) -> bool:
    """Whether any valid batch begins after `position` (or at 0), whatever its offset."""
    if position == 0 and valid_batch(segment, 0):
        return True
    return resynchronise(segment, position, segment.base_offset) is not None


def mend(broken: BrokenBatch, *, following_offset: int) -> Damage | None:
    """There is no batch where one was looked for: drop a wrong index, or note damage, which is returned.

    A damaged length leads astray, so the cause may lie before the place that was found broken: everything
    from the last batch that the index and its checksum agree on is verified. `following_offset` is the first
    one after the segment.
    """
    segment = broken.segment
    position, offset = _last_good(segment, broken.position)
    segment.drop_index()
    for found in verified(segment, position, offset):
        if found.position > broken.position:
            return None
        position, offset = found.end, found.header.next_offset
    position, offset = segment.after_damage(position, offset)
    if position > broken.position:
        return None
    after = resynchronise(segment, position, offset)
    end = after.position if after else segment.size
    next_offset = after.header.base_offset if after else following_offset
    damage = Damage(segment.base_offset, position, end, offset, next_offset)
    segment.add_damage(damage)
    return damage


def _last_good(segment: Segment, position: int) -> tuple[int, int]:
    """A place before `position` where a batch certainly begins, and its offset."""
    for known, last_offset in segment.indexed_before(position):
        header = valid_batch(segment, known)
        if header is not None and header.last_offset == last_offset:
            return known, header.base_offset
    return 0, segment.base_offset
