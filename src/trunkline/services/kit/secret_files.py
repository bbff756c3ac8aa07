"""Files with a key in them: made once, whole or not at all, whoever else makes them at the same time."""

import os
from pathlib import Path

from trunkline.codec import new_id


def make_once(path: Path, content: bytes) -> None:
    """Make the file, which only its owner may read, unless it is there. Raises `OSError`.

    A process that dies on the way leaves no file, and nobody reads half of one.
    """
    _placed(path, content, mode=0o600, keep=True)


def replace(path: Path, content: bytes) -> None:
    """The same for what everybody may read, in place of what is there."""
    _placed(path, content, mode=0o644, keep=False)


def _placed(path: Path, content: bytes, *, mode: int, keep: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{new_id()}")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not keep:
            fresh.replace(path)
            return
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            return
    finally:
        fresh.unlink(missing_ok=True)
