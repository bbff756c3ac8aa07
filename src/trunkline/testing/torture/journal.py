"""A publisher's own account, on disk before anything is sent, so that SIGKILL cannot falsify it.

One JSON object a line. A line that was cut off at the end of the file belongs to a write that was never
synced, so nothing had been published on the strength of it; it is cut away when the file is opened again.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import msgspec


class Intent(msgspec.Struct, frozen=True, kw_only=True, tag="intent"):
    """An event is going to be published, perhaps once more. `at` is in Unix seconds."""

    topic: str
    tenant: str
    source: str
    id: str
    sequence: int
    subject: str
    at: float


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag="settled"):
    """An attempt ended: `delivered` at its position, `rejected` or `unknown` (`detail`), or `committed`."""

    id: str
    outcome: str
    at: float
    partition: int = -1
    offset: int = -1
    detail: str = ""


Entry: TypeAlias = Intent | Settled

DELIVERED: Final = "delivered"
COMMITTED: Final = "committed"
"""In an outbox: whoever added it need not know where it goes, but it has to be in the log in the end."""
REJECTED: Final = "rejected"
UNKNOWN: Final = "unknown"

_decoder: Final = msgspec.json.Decoder(Entry)
_encoder: Final = msgspec.json.Encoder()


class Journal:
    """The file, open for appending."""

    def __init__(self, path: Path) -> None:
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        self._file = path.open("r+b" if path.exists() else "wb")
        self._file.truncate(len(whole) + 1 if whole else 0)
        self._file.seek(0, os.SEEK_END)

    def write(self, entries: Iterable[Entry]) -> None:
        """Append, and return when it is on disk."""
        lines = b"".join(_encoder.encode(entry) + b"\n" for entry in entries)
        if lines:
            self._file.write(lines)
            self._file.flush()
            os.fdatasync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read(path: Path) -> list[Entry]:
    """Every whole line of a journal; nothing where there is none."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [_decoder.decode(line) for line in whole.splitlines()]


@dataclass(slots=True)
class Course:
    """How far one tenant has come: the last sequence number used, and what is not acknowledged, in order."""

    sequence: int = 0
    open: list[Intent] = field(default_factory=list)


def recover(entries: Sequence[Entry]) -> dict[str, Course]:
    """Where each tenant goes on. An event whose last attempt had no answer is open, as one that failed is."""
    intents: dict[str, Intent] = {}
    delivered: set[str] = set()
    for entry in entries:
        if isinstance(entry, Intent):
            intents.setdefault(entry.id, entry)
        elif entry.outcome == DELIVERED:
            delivered.add(entry.id)
    courses: dict[str, Course] = {}
    for intent in intents.values():
        course = courses.setdefault(intent.tenant, Course())
        course.sequence = max(course.sequence, intent.sequence)
        if intent.id not in delivered:
            course.open.append(intent)
    for course in courses.values():
        course.open.sort(key=lambda intent: intent.sequence)
    return courses
