"""Checkpoints: the signed word of the service on how a tenant's ledger looked, kept outside the database.

A checkpoint is a C2SP tlog-checkpoint in a signed note:

    trunkline/audit/TENANT        origin, also the name of the signing key
    SIZE                          entries in the ledger
    BASE64                        root of the tree over them
    time 2026-01-31T12:00:00Z     when it was signed
    prev BASE64                   SHA-256 of the whole previous note; `-` in a ledger's first

A tenant's checkpoints are appended to one file, each followed by an empty line, and synced. The database
alone cannot show that its newest rows were cut off or that all of it was rewritten: these files can, and the
better the fewer people can write both. A reader ignores an unfinished last checkpoint, which a crash leaves;
the next writer cuts it.
"""

import fcntl
import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from trunkline.errors import TrunklineError
from trunkline.services.audit.merkle import HASH_BYTES
from trunkline.services.audit.note import BadNote, Signer, Verifier

ORIGIN_PREFIX: Final = "trunkline/audit/"
FIRST: Final = "-"
"""What stands for the hash of the previous checkpoint in a ledger's first."""

_SUFFIX: Final = ".txt"
_SAFE: Final = re.compile(r"[a-z0-9._-]")
_END: Final = b"\n\n"
_SIGNATURES: Final = b"\n\n\xe2\x80\x94 "
"""The empty line before a note's signatures and the mark that begins one."""
_NOTE_BYTES_MAX: Final = 4_096
"""More than any note of ours takes: what a crash leaves unfinished is shorter, longer is damage."""
_TAIL_BYTES: Final = 65_536
"""How much of a file's end is read to find its newest note."""


class DamagedFile(TrunklineError):  # noqa: N818 - named for what was found
    """A checkpoint file does not end as a crash could have left it; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One statement about a ledger. `previous` is the base64 hash of the note before, or `FIRST`."""

    tenant: str
    size: int
    root: bytes
    time: datetime
    previous: str

    def text(self) -> str:
        """The text that is signed."""
        lines = (
            origin(self.tenant),
            str(self.size),
            b64encode(self.root).decode(),
            f"time {self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            f"prev {self.previous}",
        )
        return "".join(f"{line}\n" for line in lines)


def origin(tenant: str) -> str:
    """The name of a tenant's ledger in its checkpoints, and of the key that signs them."""
    return ORIGIN_PREFIX + tenant


def note_hash(note: bytes) -> str:
    """What the next checkpoint's `prev` line holds."""
    return b64encode(sha256(note).digest()).decode()


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a signed note."""
    return signer.sign(checkpoint.text(), name=origin(checkpoint.tenant))


def open_checkpoint(note: bytes, verifier: Verifier, *, tenant: str) -> Checkpoint:
    """The checkpoint in a note. Raises `BadNote` unless the key signed it for this tenant."""
    return parse_checkpoint(verifier.open(note, name=origin(tenant)))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text, whose signature the caller has checked. Raises `BadNote`."""
    lines = text.splitlines()
    if len(lines) < 5 or not lines[0].startswith(ORIGIN_PREFIX):
        raise BadNote("it is not a checkpoint of an audit ledger")
    extensions = dict(line.split(" ", 1) for line in lines[3:] if " " in line)
    try:
        root = b64decode(lines[2], validate=True)
        checkpoint = Checkpoint(
            tenant=lines[0].removeprefix(ORIGIN_PREFIX),
            size=int(lines[1]),
            root=root,
            time=datetime.strptime(extensions["time"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
            previous=extensions["prev"],
        )
    except (ValueError, KeyError) as error:
        raise BadNote("a line of the checkpoint is missing or malformed") from error
    if len(root) != HASH_BYTES or checkpoint.size < 0:
        raise BadNote("its size or root cannot be one")
    return checkpoint


def split_notes(content: bytes) -> tuple[list[bytes], int]:
    """The finished notes of a checkpoint file, and how many bytes they take; what follows is unfinished."""
    notes: list[bytes] = []
    start = 0
    while (middle := content.find(_END, start)) >= 0 and (end := content.find(_END, middle + 2)) >= 0:
        notes.append(content[start : end + 1])
        start = end + 2
    return notes, start


class CheckpointFiles:
    """The checkpoint files of all tenants, in one directory; writers in several processes take turns."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, tenant: str) -> Path:
        """The tenant's file; characters that some file system folds or forbids are percent-encoded."""
        name = "".join(
            char if _SAFE.match(char) else "".join(f"%{byte:02X}" for byte in char.encode())
            for char in tenant
        )
        return self.directory / f"{name}{_SUFFIX}"

    def tenants(self) -> list[str]:
        """The tenants that have a file, sorted."""
        if not self.directory.is_dir():
            return []
        return sorted(_decode(path.name.removesuffix(_SUFFIX)) for path in self.directory.glob(f"*{_SUFFIX}"))

    def notes(self, tenant: str) -> list[bytes]:
        """All finished notes of a tenant, oldest first; none when there is no file.

        An end that no crash leaves comes as one more note, so that whoever checks signatures meets it.
        """
        try:
            content = self.path(tenant).read_bytes()
        except FileNotFoundError:
            return []
        notes, finished = split_notes(content)
        if len(content) - finished > _NOTE_BYTES_MAX:
            notes.append(content[finished:])
        return notes

    def newest(self, tenant: str) -> bytes | None:
        """The newest finished note of a tenant. Raises `DamagedFile`."""
        return self._tail(tenant)[0]

    def append(self, tenant: str, note: bytes) -> None:
        """Add a note and sync it, after cutting off an unfinished one. The caller holds the lock.

        Raises `DamagedFile`.
        """
        path = self.path(tenant)
        is_new = not path.exists()
        _, finished = self._tail(tenant)
        with path.open("ab") as file:
            file.truncate(finished)
            file.write(note + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_directory(self.directory)

    def _tail(self, tenant: str) -> tuple[bytes | None, int]:
        """The newest finished note and where it ends in the file."""
        try:
            with self.path(tenant).open("rb") as file:
                skipped = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
                file.seek(skipped)
                content = file.read()
        except FileNotFoundError:
            return None, 0
        note, finished = _last_note(content)
        if len(content) - finished > _NOTE_BYTES_MAX:
            raise DamagedFile(
                f"{self.path(tenant)}: its end is damaged; see `trunkline audit verify` and restore it"
            )
        return note, skipped + finished

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The right to write, across processes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _last_note(content: bytes) -> tuple[bytes | None, int]:
    """The last finished note in the end of a file, and where it ends."""
    middle = content.rfind(_SIGNATURES)
    while middle >= 0 and (end := content.find(_END, middle + len(_END))) < 0:
        middle = content.rfind(_SIGNATURES, 0, middle)
    if middle < 0:
        return None, 0
    start = content.rfind(_END, 0, middle)
    return content[start + len(_END) if start >= 0 else 0 : end + 1], end + len(_END)


def _decode(name: str) -> str:
    encoded = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), name.encode())
    return encoded.decode(errors="replace")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
