"""Checkpoints: the signed word of the service on how a tenant's ledger looked, kept outside the database.

A checkpoint is a C2SP tlog-checkpoint in a signed note:

    trunkline/audit/TENANT        origin, also the name of the signing key
    SIZE                          entries in the ledger
    BASE64                        root of the tree over them
    time 2026-01-31T12:00:00Z     when it was signed
    prev BASE64                   SHA-256 of the whole previous note; `-` in a ledger's first

A tenant's checkpoints are in one file (`note_file`), those of all tenants are listed in the register
(`register`). The database alone cannot show that its newest rows were cut off or that all of it was
rewritten: these files can, and the better the fewer people can write both.
"""

import fcntl
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from trunkline.services.audit.merkle import HASH_BYTES
from trunkline.services.audit.note import BadNote, Signer, Verifier
from trunkline.services.audit.note_file import NoteFile

ORIGIN_PREFIX: Final = "trunkline/audit/"
FIRST: Final = "-"
"""What stands for the hash of the previous checkpoint in a ledger's first."""

_SUFFIX: Final = ".txt"
_SAFE: Final = re.compile(r"[a-z0-9._-]")
_REGISTER: Final = "register.notes"
"""Ends in another way than a tenant's file, whatever the tenant is called."""


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
        """All finished notes of a tenant, oldest first, as `NoteFile.notes` gives them."""
        return self._of(tenant).notes()

    def newest(self, tenant: str) -> bytes | None:
        """The newest finished note of a tenant. Raises `DamagedFile`."""
        return self._of(tenant).newest()

    def append(self, tenant: str, note: bytes) -> None:
        """Add a note and sync it. The caller holds the lock. Raises `DamagedFile`."""
        self._of(tenant).append(note)

    @property
    def register(self) -> NoteFile:
        """The list of all checkpoints. Who appends to it holds the lock."""
        return NoteFile(self.directory / _REGISTER)

    def _of(self, tenant: str) -> NoteFile:
        return NoteFile(self.path(tenant))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The right to write, across processes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _decode(name: str) -> str:
    encoded = re.sub(rb"%([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), name.encode())
    return encoded.decode(errors="replace")
