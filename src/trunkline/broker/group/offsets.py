"""The durable state of all groups: what the journal's entries fold to. Changed by `apply` alone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from trunkline.broker.group.entries import (
    Entry,
    GroupRemoved,
    GroupSaved,
    Offset,
    OffsetsCommitted,
    OffsetsRemoved,
)

TopicPartition: TypeAlias = tuple[str, int]

NO_OFFSETS: Final[Mapping[TopicPartition, Offset]] = MappingProxyType({})

OFFSETS_PER_ENTRY: Final = 500
"""With the longest metadata allowed in each, an entry still fits the journal."""


class DurableGroups:
    """Committed offsets and saved generations, by group."""

    __slots__ = ("_offsets", "_saved")

    def __init__(self) -> None:
        self._offsets: dict[str, dict[TopicPartition, Offset]] = {}
        self._saved: dict[str, GroupSaved] = {}

    def apply(self, entry: Entry) -> None:
        """Fold one entry in."""
        match entry:
            case GroupSaved():
                self._saved[entry.group_id] = entry
            case GroupRemoved():
                self._saved.pop(entry.group_id, None)
                self._offsets.pop(entry.group_id, None)
            case OffsetsCommitted():
                offsets = self._offsets.setdefault(entry.group_id, {})
                offsets.update(((topic, partition), offset) for topic, partition, offset in entry.offsets)
            case OffsetsRemoved():
                self._remove(entry)

    def _remove(self, entry: OffsetsRemoved) -> None:
        offsets = self._offsets.get(entry.group_id)
        if offsets is None:
            return
        for key in entry.partitions:
            offsets.pop(key, None)
        if not offsets:
            del self._offsets[entry.group_id]

    def offsets(self, group_id: str) -> Mapping[TopicPartition, Offset]:
        """What a group has committed; a view, not a copy."""
        return self._offsets.get(group_id, NO_OFFSETS)

    def saved(self) -> Iterable[GroupSaved]:
        """The last saved generation of each group."""
        return self._saved.values()

    def group_ids(self) -> set[str]:
        """Groups with offsets or a saved generation."""
        return self._saved.keys() | self._offsets.keys()

    def entries(self) -> Iterator[Entry]:
        """The state as entries: folding them gives it again."""
        yield from self._saved.values()
        for group_id, offsets in self._offsets.items():
            yield from batches(group_id, [(*key, offset) for key, offset in offsets.items()])


def batches(group_id: str, offsets: Sequence[tuple[str, int, Offset]]) -> Iterator[OffsetsCommitted]:
    """The offsets in entries of bounded size."""
    for start in range(0, len(offsets), OFFSETS_PER_ENTRY):
        yield OffsetsCommitted(group_id, tuple(offsets[start : start + OFFSETS_PER_ENTRY]))


def expired(
    offsets: Mapping[TopicPartition, Offset], *, empty_since_ms: int | None, retention_ms: int, wall_ms: int
) -> tuple[TopicPartition, ...]:
    """The positions that have outlived their group, which has no members.

    A group that once had members ages as a whole from the moment it lost the last one. A position committed
    later than that, or from outside any membership (`empty_since_ms=None`), ages by itself (KIP-211).
    """
    horizon_ms = wall_ms - retention_ms
    return tuple(
        key
        for key, offset in offsets.items()
        if max(offset.commit_ms, empty_since_ms or offset.commit_ms) <= horizon_ms
    )
