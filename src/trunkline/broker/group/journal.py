"""The journal: every entry appended, synced before anybody is told, rewritten when it has grown.

    file  := magic entry*
    entry := length:u32le crc32c:u32le payload      the CRC covers the payload, MessagePack (`entries.py`)

Recovery folds the entries in order. Bytes at the end that are no entry are the torn tail of a crash: nobody
was told that they are there, so they are cut off. Bytes in the middle that are no entry are damage: the file
is kept under another name, what can be read on both sides of the damage is used, and both are reported. What
damage costs is commits, so consumers read some records again; it never makes them skip any.

A new version of the format gets a new magic; a broker refuses a magic it does not know.
"""

import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import google_crc32c
import msgspec

from trunkline.broker.group.entries import Entry
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import File, Fs, FsError, replace_file
from trunkline.errors import TrunklineError

JOURNAL_NAME: Final = "groups.journal"
DAMAGED_SUFFIX: Final = ".damaged"

MAGIC: Final = b"trunkline groups 1\n"

ENTRY_BYTES_MAX: Final = 16 * 1024 * 1024
"""The largest entry, a group's members with all they say, stays below this by the limits of a group."""

COMPACT_BYTES_MIN: Final = 4 * 1024 * 1024
"""A smaller journal is never rewritten: it is read in a few milliseconds."""

COMPACT_GROWTH: Final = 4
"""A journal this many times the size of its last snapshot is rewritten: a third more writes in all."""

_HEAD: Final = struct.Struct("<II")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


class JournalRefused(TrunklineError):  # noqa: N818 - reads as what it is
    """The file is not a journal this version can read."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found: the entries in order, and one sentence for each thing that was not as it should be."""

    entries: tuple[Entry, ...]
    reports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rewrite:
    """A snapshot on its way to disk, and what is appended meanwhile."""

    content: bytes
    since: bytearray


class Journal:
    """An open journal. A `Syncable` for group commit: positions are bytes appended since it was opened.

    `append`, `advance` and `close` belong to the loop, `sync` to one worker thread at a time.
    """

    def __init__(
        self,
        fs: Fs,
        directory: Path,
        *,
        snapshot: Callable[[], Iterable[Entry]],
        on_durable: Callable[[Entry], None],
        compact_bytes_min: int = COMPACT_BYTES_MIN,
    ) -> None:
        """`snapshot` says everything `on_durable` was ever called with, shorter. Call `recover` first."""
        self._fs = fs
        self._path = directory / JOURNAL_NAME
        self._snapshot = snapshot
        self._on_durable = on_durable
        self._compact_bytes_min = compact_bytes_min
        self._compact_at = compact_bytes_min
        self._lock = threading.Lock()
        self._file: File | None = None
        self._end = 0
        self._unsynced: deque[tuple[int, Entry]] = deque()
        self._rewrite: _Rewrite | None = None
        self._stopped: BaseException | None = None

    # -- recovery

    def recover(self) -> Recovered:
        """Read what is there and open the journal for appending.

        Raises `FsError` when the device refuses and `JournalRefused` for a file of another format.
        """
        content = self._fs.read(self._path)
        if content is None or MAGIC.startswith(content):
            replace_file(self._fs, self._path, MAGIC)
            content = MAGIC
        if not content.startswith(MAGIC):
            raise JournalRefused(
                f"{self._path} is not a journal of this version; "
                "move it away to start without committed offsets"
            )
        entries, gaps, end = _scan(content)
        reports = []
        if gaps:
            reports.append(self._set_aside(content, entries, gaps))
        elif end < len(content):
            reports.append(f"{self._path}: cut off a torn tail of {len(content) - end} bytes at {end}")
        self._file = self._fs.open(self._path)
        if not gaps and end < len(content):
            self._file.truncate(end)
            self._file.sync()
        # How much of the file is still true is not known: a big one is rewritten at the first append.
        self._compact_at = self._compact_bytes_min
        return Recovered(tuple(entries), tuple(reports))

    def _set_aside(self, content: bytes, entries: list[Entry], gaps: list[tuple[int, int]]) -> str:
        kept = self._path.with_name(self._path.name + DAMAGED_SUFFIX)
        replace_file(self._fs, kept, content)
        replace_file(self._fs, self._path, MAGIC + b"".join(map(_encode, entries)))
        where = ", ".join(f"{start}-{stop}" for start, stop in gaps)
        return (
            f"{self._path}: damaged at bytes {where}; kept as {kept.name}, the {len(entries)} readable "
            "entries are used, and groups whose commits were lost read some records again"
        )

    # -- Syncable

    @property
    def log_end_offset(self) -> int:
        """Bytes appended since the journal was opened."""
        return self._end

    def append(self, entry: Entry) -> None:
        """Add an entry; it counts from the `advance` past it. Raises `FsError` and `LogStopped`."""
        if self._stopped is not None:
            raise LogStopped(f"{self._path}: {self._stopped}")
        data = _encode(entry)
        with self._lock:
            assert self._file is not None, "recover comes first"
            self._file.append(data)
            if self._rewrite is not None:
                self._rewrite.since.extend(data)
            self._end += len(data)
            size = self._file.size
        self._unsynced.append((self._end, entry))
        if size > self._compact_at and self._rewrite is None:
            self._begin_rewrite()

    def sync(self) -> int:
        """Make everything appended before the call durable. Runs on a worker thread."""
        if self._stopped is not None:
            raise LogStopped(f"{self._path}: {self._stopped}")
        try:
            if self._rewrite is not None:
                return self._finish_rewrite(self._rewrite)
            return self._sync_file()
        except FsError as error:
            self._stopped = error
            raise

    def advance(self, offset: int) -> None:
        """Everything appended before `offset` is durable: say so."""
        while self._unsynced and self._unsynced[0][0] <= offset:
            self._on_durable(self._unsynced.popleft()[1])

    def close(self) -> None:
        """Release the file. What was not synced may or may not be there next time."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _sync_file(self) -> int:
        with self._lock:
            file, end = self._file, self._end
        assert file is not None, "recover comes first"
        file.sync()
        return end

    # -- compaction

    def _begin_rewrite(self) -> None:
        """Encode the state now, on the loop, where it is consistent; the next `sync` writes it.

        Entries that are not durable yet follow the snapshot, which does not contain them.
        """
        unsynced = (entry for _, entry in self._unsynced)
        content = MAGIC + b"".join(_encode(entry) for entry in (*self._snapshot(), *unsynced))
        self._compact_at = max(self._compact_bytes_min, COMPACT_GROWTH * len(content))
        with self._lock:
            self._rewrite = _Rewrite(content, bytearray())

    def _finish_rewrite(self, rewrite: _Rewrite) -> int:
        temporary = self._path.with_name(self._path.name + ".tmp")
        self._fs.remove(temporary)
        try:
            fresh = self._fs.open(temporary)
            fresh.append(rewrite.content)
            # The bulk is synced before the appends are locked out.
            fresh.sync()
            with self._lock:
                fresh.append(rewrite.since)
                old, self._file, self._rewrite, end = self._file, fresh, None, self._end
        except FsError:
            # No room for a second copy. The journal itself is unharmed and goes on growing.
            self._fs.remove(temporary)
            with self._lock:
                self._rewrite = None
            return self._sync_file()
        # Later appends go to the new file and are acknowledged by a later sync, hence after the rename.
        fresh.sync()
        self._fs.rename(temporary, self._path)
        self._fs.sync_dir(self._path.parent)
        assert old is not None
        old.close()
        return end


def _encode(entry: Entry) -> bytes:
    payload = _encoder.encode(entry)
    assert len(payload) <= ENTRY_BYTES_MAX, "the coordinator bounds what a group may say"
    return _HEAD.pack(len(payload), google_crc32c.value(payload)) + payload


def _read(content: bytes, position: int) -> tuple[Entry, int] | None:
    """The entry at `position` and where it ends, or None."""
    if position + _HEAD.size > len(content):
        return None
    length, crc = _HEAD.unpack_from(content, position)
    end = position + _HEAD.size + length
    if not 0 < length <= ENTRY_BYTES_MAX or end > len(content):
        return None
    payload = content[position + _HEAD.size : end]
    if google_crc32c.value(payload) != crc:
        return None
    try:
        return _decoder.decode(payload), end
    except msgspec.DecodeError:
        return None


def _scan(content: bytes) -> tuple[list[Entry], list[tuple[int, int]], int]:
    """The entries, the gaps between them that are none, and where the last entry ends."""
    entries: list[Entry] = []
    gaps: list[tuple[int, int]] = []
    position = end = len(MAGIC)
    while position < len(content):
        found = _read(content, position)
        if found is None:
            position += 1
            continue
        if position > end:
            gaps.append((end, position))
        entry, position = found
        end = position
        entries.append(entry)
    return entries, gaps, end
