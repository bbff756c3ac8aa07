"""The register: the signed list of every checkpoint of every tenant, in the order of their signing.

It is what shows that a tenant's newest checkpoints, or its whole file, are gone: whoever takes them away
would have to cut the register too, and then the checkpoints that other tenants got since are missing in it.
Its notes are chained like checkpoints; the text of one is

    trunkline/audit-register      also the name of the signing key
    time 2026-01-31T12:00:00Z     when it was signed
    prev BASE64                   SHA-256 of the whole previous note; `-` in the first
    BASE64 TENANT                 SHA-256 of a checkpoint's note; a line for each

A checkpoint is entered after it was written. So a crash leaves at most a tenant's newest one out, which the
next start enters; a tenant with more than one that is not in the register has lost part of the register.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from trunkline.services.audit.checkpoint import FIRST, note_hash
from trunkline.services.audit.note import BadNote, Signer, Verifier, split_note

NAME: Final = "trunkline/audit-register"
LINES_MAX: Final = 20
"""Checkpoints in one note, which so stays well below `note_file.NOTE_BYTES_MAX`."""


class Register:
    """What the notes of a register add up to."""

    def __init__(self) -> None:
        self.newest: dict[str, str] = {}
        """Tenant -> hash of its newest checkpoint's note."""
        self._last = FIRST
        self._count = 0

    def extend(self, notes: Sequence[bytes], verifier: Verifier) -> None:
        """Take the next notes. Raises `BadNote`, naming the one that cannot be trusted.

        Each note holds the hash of the one before it, so the last one's signature vouches for all.
        """
        for note in notes:
            self._count += 1
            try:
                text = verifier.open(note, name=NAME) if note is notes[-1] else split_note(note)[0]
                self._take(text)
            except BadNote as error:
                raise BadNote(f"note {self._count} of the register cannot be trusted: {error}") from error
            self._last = note_hash(note)

    def sign(self, signed: Mapping[str, str], signer: Signer, *, now: datetime) -> list[bytes]:
        """The notes that enter these checkpoints, a note's hash by tenant. `extend` takes them afterwards."""
        notes: list[bytes] = []
        previous = self._last
        for lines in _batches([f"{digest} {tenant}\n" for tenant, digest in signed.items()]):
            head = f"{NAME}\ntime {now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\nprev {previous}\n"
            notes.append(signer.sign(head + "".join(lines), name=NAME))
            previous = note_hash(notes[-1])
        return notes

    def _take(self, text: str) -> None:
        name, *lines = text.splitlines()
        if name != NAME or len(lines) < 2:
            raise BadNote("it is not of a register")
        if lines[1] != f"prev {self._last}":
            raise BadNote("it does not follow the one before it")
        for line in lines[2:]:
            digest, _, tenant = line.partition(" ")
            self.newest[tenant] = digest


def _batches(lines: Sequence[str]) -> list[Sequence[str]]:
    return [lines[start : start + LINES_MAX] for start in range(0, len(lines), LINES_MAX)]
