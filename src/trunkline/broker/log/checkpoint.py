"""The checkpoint of a partition: up to where everything is known to be on disk, and what is known about it.

One small file, replaced atomically: a line with the CRC-32C of the rest, then JSON. Recovery trusts what
lies before `position` and scans what lies after it. A checkpoint at the very end of the log is what a clean
shutdown leaves; the first append after it makes it an ordinary one, so there is no separate marker that
could lie.
"""

from pathlib import Path

import google_crc32c
import msgspec

from trunkline.broker.log.fs import Fs, replace_file
from trunkline.broker.log.producers import Snapshot
from trunkline.broker.log.segment import Damage

CHECKPOINT_NAME = "trunkline.checkpoint"

VERSION = 1


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """All before byte `position` of segment `segment` was synced; `offset` is the next offset there."""

    version: int = VERSION
    log_start_offset: int
    offset: int
    segment: int
    position: int
    segment_created_ms: int
    epochs: list[tuple[int, int]]
    damage: list[Damage]
    producers: Snapshot


def write_checkpoint(fs: Fs, directory: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a partition. Raises `FsError`."""
    body = msgspec.json.encode(checkpoint)
    replace_file(fs, directory / CHECKPOINT_NAME, b"%08x\n%s\n" % (google_crc32c.value(body), body))


def read_checkpoint(fs: Fs, directory: Path) -> Checkpoint | None:
    """The checkpoint, or None when there is none that can be believed: then everything has to be scanned."""
    content = fs.read(directory / CHECKPOINT_NAME)
    if content is None:
        return None
    crc, _, body = content.partition(b"\n")
    body = body.removesuffix(b"\n")
    if crc != b"%08x" % google_crc32c.value(body):
        return None
    try:
        checkpoint = msgspec.json.decode(body, type=Checkpoint)
    except msgspec.DecodeError:
        return None
    return checkpoint if checkpoint.version == VERSION else None
