"""A file of signed notes that only grows: each is followed by an empty line and synced.

A reader ignores an unfinished last note, which a crash leaves; the next writer cuts it.
"""

import os
from pathlib import Path
from typing import Final

from trunkline.errors import TrunklineError

_END: Final = b"\n\n"
_SIGNATURES: Final = b"\n\n\xe2\x80\x94 "
"""The empty line before a note's signatures and the mark that begins one."""
NOTE_BYTES_MAX: Final = 4_096
"""More than any note of ours takes: what a crash leaves unfinished is shorter, longer is damage."""
_TAIL_BYTES: Final = 65_536
"""How much of a file's end is read to find its newest note."""


class DamagedFile(TrunklineError):  # noqa: N818 - named for what was found
    """A file of notes does not end as a crash could have left it; nothing was changed."""


class NoteFile:
    """One file. Writers take turns by a lock of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def notes(self) -> list[bytes]:
        """All finished notes, oldest first; none when there is no file.

        An end that no crash leaves comes as one more note, so that whoever checks signatures meets it.
        """
        return self.notes_after(0)[0]

    def notes_after(self, start: int) -> tuple[list[bytes], int]:
        """The notes as `notes` gives them, but from this byte on, and where the last finished one ends.

        That is before `start` when the file was cut.
        """
        try:
            with self.path.open("rb") as file:
                if (size := file.seek(0, os.SEEK_END)) < start:
                    return [], size
                file.seek(start)
                content = file.read()
        except FileNotFoundError:
            return [], 0
        notes, finished = split_notes(content)
        if len(content) - finished > NOTE_BYTES_MAX:
            notes.append(content[finished:])
        return notes, start + finished

    def newest(self) -> bytes | None:
        """The newest finished note. Raises `DamagedFile`."""
        return self._tail()[0]

    def append(self, *notes: bytes) -> None:
        """Add notes and sync them, after cutting off an unfinished one. Raises `DamagedFile`."""
        is_new = not self.path.exists()
        _, finished = self._tail()
        with self.path.open("ab") as file:
            file.truncate(finished)
            file.write(b"".join(note + b"\n" for note in notes))
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            _sync_directory(self.path.parent)

    def _tail(self) -> tuple[bytes | None, int]:
        """The newest finished note and where it ends in the file."""
        try:
            with self.path.open("rb") as file:
                skipped = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
                file.seek(skipped)
                content = file.read()
        except FileNotFoundError:
            return None, 0
        note, finished = _last_note(content)
        if len(content) - finished > NOTE_BYTES_MAX:
            raise DamagedFile(f"{self.path}: its end is damaged; see `trunkline audit verify` and restore it")
        return note, skipped + finished


def split_notes(content: bytes) -> tuple[list[bytes], int]:
    """The finished notes in a file's content, and how many bytes they take; what follows is unfinished."""
    notes: list[bytes] = []
    start = 0
    while (middle := content.find(_END, start)) >= 0 and (end := content.find(_END, middle + 2)) >= 0:
        notes.append(content[start : end + 1])
        start = end + 2
    return notes, start


def _last_note(content: bytes) -> tuple[bytes | None, int]:
    """The last finished note in the end of a file, and where it ends."""
    middle = content.rfind(_SIGNATURES)
    while middle >= 0 and (end := content.find(_END, middle + len(_END))) < 0:
        middle = content.rfind(_SIGNATURES, 0, middle)
    if middle < 0:
        return None, 0
    start = content.rfind(_END, 0, middle)
    return content[start + len(_END) if start >= 0 else 0 : end + 1], end + len(_END)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
