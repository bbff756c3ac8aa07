"""A directory of rendered files: what is written is whole, and what is not ours is never touched.

A marker lists which files were written, for which environments. A directory without it is not ours. All new
files are complete in a staging directory before the first one replaces an old one; the replacing is a handful
of renames, during which signals wait.
"""

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from trunkline.errors import InvalidInput, Unavailable

MARKER: Final = ".trunkline-render.json"
STAGING: Final = ".trunkline-render.new"


class Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the marker says: the files by path, and the environments that they are of."""

    environments: list[str]
    files: list[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One file that is not as it would be rendered."""

    path: str
    how: str


def environments_of(directory: Path) -> list[str]:
    """The environments that the directory has; none for one that is empty or not there.

    Raises `InvalidInput` for a directory with anything that was not rendered, and for a damaged marker.
    """
    return _read_marker(directory).environments


def differences(directory: Path, tree: Mapping[str, str]) -> list[Difference]:
    """How the directory's files differ from these, by path. Raises as `environments_of` does."""
    before = _read_marker(directory)
    found = []
    for path in sorted({*tree, *before.files}):
        present = _read(directory / path)
        if path not in tree:
            if present is not None:
                found.append(Difference(path, "no longer rendered"))
        elif present is None:
            found.append(Difference(path, "missing"))
        elif present != tree[path]:
            found.append(Difference(path, "different"))
    return found


def write(directory: Path, tree: Mapping[str, str], *, environments: list[str]) -> list[Difference]:
    """Make the directory's rendered files these, and remove those that are rendered no longer.

    Returns what was not so before. Files that were never rendered stay. Raises as `environments_of` does, and
    `Unavailable` where files cannot be written; then the directory is as it was.
    """
    changes = differences(directory, tree)
    before = _read_marker(directory)
    for path in sorted(set(tree) - set(before.files)):
        if (directory / path).exists():
            raise InvalidInput(f"{directory / path} is there and was not rendered; move it away")
    marker = msgspec.json.format(
        msgspec.json.encode(Written(environments=environments, files=sorted(tree))), indent=2
    )
    staging = directory / STAGING
    try:
        shutil.rmtree(staging, ignore_errors=True)
        for path in [*tree, MARKER]:
            (staging / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
        for path, text in tree.items():
            (staging / path).write_text(text, encoding="utf-8")
        (staging / MARKER).write_bytes(marker + b"\n")
        with _signals_wait():
            _replace(directory, staging, [change.path for change in changes if change.path in tree])
            _remove(directory, sorted(set(before.files) - set(tree)))
            (staging / MARKER).replace(directory / MARKER)
    except OSError as error:
        raise Unavailable(f"{directory}: {error.strerror}: {error.filename}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return changes


def _replace(directory: Path, staging: Path, paths: list[str]) -> None:
    for path in paths:
        (staging / path).replace(directory / path)


def _remove(directory: Path, paths: list[str]) -> None:
    for path in paths:
        (directory / path).unlink(missing_ok=True)
        for parent in (directory / path).parents:
            if parent == directory or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()


def _read_marker(directory: Path) -> Written:
    try:
        raw = (directory / MARKER).read_bytes()
    except FileNotFoundError:
        if directory.is_dir() and any(path.name != STAGING for path in directory.iterdir()):
            raise InvalidInput(
                f"{directory} has files that `trunkline render` did not write; give an empty or a new one"
            ) from None
        return Written(environments=[], files=[])
    except OSError as error:
        raise InvalidInput(f"{directory}: {error.strerror}; give a directory") from error
    try:
        found = msgspec.json.decode(raw, type=Written)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"{directory / MARKER} is damaged: {error}; restore it or render anew") from error
    for path in found.files:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise InvalidInput(f"{directory / MARKER} names {path!r}, which is outside of the directory")
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror}") from error


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect behind the block: within it the directory is half of each.

    By handlers, which a mask would not do for: another thread takes what this one has blocked.
    """
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for one in dict.fromkeys(arrived):
        signal.raise_signal(one)
