"""The last known good configuration in a file, so that an instance starts with it while the bus is down."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.broadcast.entries import (
    Change,
    Entry,
    Name,
    Rejected,
    change_listed,
    digest_text,
    listed_of,
)

FORMAT: Final = 1
"""A file of another format is not read; the topic replaces it anyway."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    digest: str
    entries: list[dict[str, Any]]


def keep(path: Path, entries: Mapping[Name, Entry]) -> None:
    """Replace the file by these entries, whole or not at all. Raises `OSError`."""
    kept = _Kept(
        format=FORMAT,
        digest=digest_text(sum(entry.digest for entry in entries.values())),
        entries=[msgspec.to_builtins(listed_of(name, entry)) for name, entry in entries.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def kept(path: Path) -> list[Change]:
    """The entries in the file, none without one. Raises `Rejected` for a damaged file, and `OSError`."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(
            "damaged_file", f"{path} is not a kept configuration: {error}; it is not used"
        ) from error
    if found.format != FORMAT:
        raise Rejected("other_format", f"{path} has format {found.format}, not {FORMAT}; it is not used")
    changes = [change_listed(item, SYSTEM_TENANT) for item in found.entries]
    if digest_text(sum(entry.digest for _, entry in changes)) != found.digest:
        raise Rejected("damaged_file", f"{path} does not fit its own digest; it is not used")
    return changes
