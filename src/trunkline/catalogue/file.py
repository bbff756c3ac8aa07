"""Reads a file that a user named, bounded."""

from pathlib import Path

from trunkline.errors import InvalidInput


def read_file(path: Path, what: str, *, bytes_max: int) -> bytes:
    """The file's content. Raises `InvalidInput`, which calls it `what`, if it is away or larger than that."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(bytes_max + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {what} {path}: {error.strerror}") from error
    if len(raw) > bytes_max:
        raise InvalidInput(f"{what} {path} is larger than {bytes_max} bytes; is it the right file?")
    return raw
