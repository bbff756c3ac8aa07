"""Recovery: which of the bytes found after a restart are the log.

What lies before the checkpoint was synced and is trusted; what lies after it is read batch by batch with its CRC.
Bytes that are no valid batch are then one of two things:

- **A torn tail**: nothing valid follows and no byte of it was known to be synced. That is what a crash in the
  middle of an append leaves. It was never acknowledged; it is cut off and reported, and the leader epoch goes up so
  that a consumer that saw another history notices (KIP-320).
- **Damage**: valid batches follow, or the bytes had been synced. Nothing is cut: the bytes stay for whoever can
  repair them, the range is reported, everything before and after it is served. Truncating at the first bad CRC, as
  Kafka does because it has replicas, would here throw away good acknowledged records.

After damage the next batch is found by its neighbour's length or, when that too is damaged, by trying every byte:
a batch has magic 2, a plausible offset and length, and a matching CRC-32C.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.broker.log.checkpoint import Checkpoint
from trunkline.broker.log.segment import RELATIVE_OFFSET_MAX, Damage, Segment
from trunkline.broker.protocol.batch import HEADER_BYTES, MAGIC, BatchHeader, checksum

SCAN_CHUNK_BYTES = 2**20

_MAGIC_PLACE = 16
"""Where the magic byte is in a batch (record batch format v2)."""

OnBatch = Callable[[BatchHeader], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What recovery found in one partition. `damage` is all that is known, not only what is new."""

    directory: Path
    scanned_bytes: int = 0
    truncated_bytes: int = 0
    damage: tuple[Damage, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Nothing was lost and nothing is broken."""
        return not self.truncated_bytes and not self.damage

    def lines(self) -> list[str]:
        """One sentence for the operator about everything that was not as it should be."""
        lines = []
        if self.truncated_bytes:
            lines.append(
                f"{self.directory}: cut a torn tail of {self.truncated_bytes} bytes that no producer had an "
                f"acknowledgement for"
            )
        lines.extend(
            f"{self.directory}: bytes {damage.start}..{damage.end} of segment {damage.segment:020} are damaged, "
            f"offsets {damage.first_offset}..{damage.next_offset - 1} cannot be read; the bytes were kept"
            for damage in self.damage
        )
        return lines


@dataclass(slots=True)
class Recovered:
    """The outcome: the segments that make up the log and where it ends."""

    segments: list[Segment]
    end_offset: int
    scanned_bytes: int = 0
    truncated_bytes: int = 0
    new_damage: list[Damage] = field(default_factory=list)


def recover(segments: list[Segment], checkpoint: Checkpoint | None, *, on_batch: OnBatch) -> Recovered:
    """Decide about everything past the checkpoint; `on_batch` sees each valid batch there, in order.

    The segments are in order of offset and already know the damage of the checkpoint.
    """
    outcome = Recovered(segments, checkpoint.offset if checkpoint else segments[0].base_offset)
    for number, segment in enumerate(segments):
        trusted = _trusted_bytes(segment, checkpoint)
        if trusted is None:
            continue
        outcome.end_offset = max(outcome.end_offset, segment.base_offset)
        bad = _scan(segment, trusted, outcome, on_batch)
        if bad is None:
            continue
        following = [later for later in segments[number + 1 :] if _begins_validly(later)]
        if following:
            _keep(segment, bad, segment.size, outcome, next_offset=following[0].base_offset)
        elif bad < trusted:
            assert checkpoint is not None, "only a checkpoint makes bytes trusted"
            _keep(segment, bad, segment.size, outcome, next_offset=max(checkpoint.offset, outcome.end_offset))
        else:
            _cut(segments, number, bad, outcome)
            break
    return outcome


def _trusted_bytes(segment: Segment, checkpoint: Checkpoint | None) -> int | None:
    """How much of the segment needs no scan; None for all of it."""
    if checkpoint is None or segment.base_offset > checkpoint.segment:
        return 0
    if segment.base_offset < checkpoint.segment:
        return None
    return checkpoint.position


def _scan(segment: Segment, trusted: int, outcome: Recovered, on_batch: OnBatch) -> int | None:
    """Check every batch past `trusted`; the position from which on nothing is valid, or None."""
    position = trusted
    if segment.size < trusted:
        return segment.size
    while position < segment.size:
        header = valid_batch(segment, position, outcome.end_offset)
        if header is None:
            found = resynchronise(segment, position, outcome.end_offset)
            if found is None:
                return position
            after = valid_batch(segment, found, outcome.end_offset)
            assert after is not None, "resynchronise returns the position of a valid batch"
            _keep(segment, position, found, outcome, next_offset=after.base_offset)
            position = found
            continue
        on_batch(header)
        outcome.scanned_bytes += header.size
        outcome.end_offset = header.base_offset + header.last_offset_delta + 1
        position += header.size
    return None


def _keep(segment: Segment, start: int, end: int, outcome: Recovered, *, next_offset: int) -> None:
    damage = Damage(segment.base_offset, start, end, outcome.end_offset, next_offset)
    segment.add_damage(damage)
    outcome.new_damage.append(damage)
    outcome.end_offset = next_offset


def _cut(segments: list[Segment], number: int, position: int, outcome: Recovered) -> None:
    outcome.truncated_bytes += segments[number].size - position
    segments[number].truncate(position)
    for later in segments[number + 1 :]:
        outcome.truncated_bytes += later.size
        later.remove()
    del segments[number + 1 :]


def _begins_validly(segment: Segment) -> bool:
    return resynchronise(segment, 0, segment.base_offset) is not None


def valid_batch(segment: Segment, position: int, offset_min: int) -> BatchHeader | None:
    """The header of the batch at `position` if it is whole, its CRC matches and its offset is plausible."""
    prefix = segment.file.pread(HEADER_BYTES, position)
    if len(prefix) < HEADER_BYTES or prefix[_MAGIC_PLACE] != MAGIC:
        return None
    header = BatchHeader.parse(prefix, 0)
    if not HEADER_BYTES <= header.size <= segment.size - position or header.last_offset_delta < 0:
        return None
    if not offset_min <= header.base_offset <= segment.base_offset + RELATIVE_OFFSET_MAX:
        return None
    batch = segment.file.pread(header.size, position)
    return header if checksum(batch, 0, len(batch)) == header.crc else None


def resynchronise(segment: Segment, position: int, offset_min: int) -> int | None:
    """Where the first valid batch begins after the broken one at `position`; None when none follows."""
    prefix = segment.file.pread(HEADER_BYTES, position)
    if len(prefix) == HEADER_BYTES:
        claimed = position + BatchHeader.parse(prefix, 0).size
        if position < claimed < segment.size and valid_batch(segment, claimed, offset_min):
            return claimed
    for candidate in _candidates(segment, position):
        if valid_batch(segment, candidate, offset_min):
            return candidate
    return None


def _candidates(segment: Segment, start: int) -> Iterable[int]:
    """Every position from which the magic byte of a batch would be where a magic byte is."""
    magic = bytes((MAGIC,))
    while start + HEADER_BYTES <= segment.size:
        chunk = segment.file.pread(SCAN_CHUNK_BYTES, start)
        place = chunk.find(magic, _MAGIC_PLACE)
        while place >= 0:
            yield start + place - _MAGIC_PLACE
            place = chunk.find(magic, place + 1)
        start += max(len(chunk) - _MAGIC_PLACE, 1)
