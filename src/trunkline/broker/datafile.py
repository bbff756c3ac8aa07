"""The small JSON files of the data directory: a format version each, replaced atomically."""

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from trunkline.broker.log.fs import Fs, replace_file
from trunkline.errors import InvalidInput

FORMAT_VERSION: Final = 1
"""Of everything in the data directory. Any other one is refused; a change of format migrates at open."""

T = TypeVar("T")


class _Versioned(msgspec.Struct):
    format: int


def load(fs: Fs, path: Path, kind: type[T]) -> T | None:
    """The content of a file; None when there is none.

    Raises `InvalidInput` for another format and for what cannot be read, `FsError` when the device fails.
    """
    content = fs.read(path)
    if content is None:
        return None
    try:
        version = msgspec.json.decode(content, type=_Versioned).format
        if version != FORMAT_VERSION:
            raise InvalidInput(
                f"{path} has format {version}, not {FORMAT_VERSION}; use the version that wrote it"
            )
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{path} cannot be read ({error}); restore it from a backup") from None


def store(fs: Fs, path: Path, content: msgspec.Struct) -> None:
    """Replace a file. Raises `FsError`; the old content may be there then, or the new one."""
    encoded = msgspec.json.format(msgspec.json.encode(content), indent=2)
    replace_file(fs, path, encoded + b"\n")
