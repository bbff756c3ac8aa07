"""Everything on record as events, published again before retention forgets it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from trunkline.catalogue.events.config import ConfigSnapshotPublished
from trunkline.catalogue.names import TenantId
from trunkline.client.broadcast.entries import Entry, Name, change_listed, digest_text, listed_of

PART_BYTES_MAX: Final = 768 * 1024
"""Of the entries in one event. The rest of the 1 MB is for the envelope; no single entry is larger."""

SnapshotValue = dict[str, Any]


def snapshot_events(
    entries: Mapping[Name, Entry], *, snapshot_id: str, version: int
) -> list[ConfigSnapshotPublished]:
    """A state's entries as the parts of one snapshot, in the order of their names.

    What is unset is listed too: an instance that starts later has to know that an older event is void.
    """
    values = [_value(name, entries[name]) for name in sorted(entries, key=_order)]
    parts = list(_split(values)) or [()]
    digest = digest_text(sum(entry.digest for entry in entries.values()))
    return [
        ConfigSnapshotPublished(
            snapshot_id=snapshot_id,
            version=version,
            entries=len(values),
            digest=digest,
            values=part,
            part=number,
            parts=len(parts),
        )
        for number, part in enumerate(parts, 1)
    ]


def snapshot_digest(values: Iterable[Mapping[str, Any]], *, tenant: TenantId) -> str:
    """The digest that a snapshot of these, published under `tenant`, has to carry. Raises `Rejected`."""
    return digest_text(sum(change_listed(value, tenant)[1].digest for value in values))


def _value(name: Name, entry: Entry) -> SnapshotValue:
    built: SnapshotValue = msgspec.to_builtins(listed_of(name, entry))
    return built


def _order(name: Name) -> tuple[str, ...]:
    return (name.kind, name.key, name.level, name.scope or "")


def _split(values: Iterable[SnapshotValue]) -> Iterator[tuple[SnapshotValue, ...]]:
    part: list[SnapshotValue] = []
    size = 0
    for value in values:
        takes = len(msgspec.json.encode(value)) + 1
        if part and size + takes > PART_BYTES_MAX:
            yield tuple(part)
            part, size = [], 0
        part.append(value)
        size += takes
    if part:
        yield tuple(part)
