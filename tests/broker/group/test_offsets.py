"""The fold of the journal's entries, and the age of offsets."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.group.entries import (
    Entry,
    GroupRemoved,
    GroupSaved,
    Offset,
    OffsetsCommitted,
    OffsetsRemoved,
)
from trunkline.broker.group.offsets import OFFSETS_PER_ENTRY, DurableGroups, expired

GROUPS = st.sampled_from(["a", "b"])
PARTITIONS = st.tuples(st.sampled_from(["t", "u"]), st.integers(0, 2))
OFFSETS = st.builds(
    Offset,
    offset=st.integers(0, 9),
    leader_epoch=st.just(-1),
    metadata=st.text(max_size=3),
    commit_ms=st.integers(0, 9),
    topic_id=st.just(UUID(int=1)),
)
ENTRIES = st.one_of(
    st.builds(
        GroupSaved,
        group_id=GROUPS,
        generation=st.integers(0, 9),
        protocol_type=st.just("consumer"),
        protocol_name=st.just(""),
        leader=st.just(""),
        members=st.just(()),
        changed_ms=st.integers(0, 9),
    ),
    st.builds(GroupRemoved, group_id=GROUPS),
    st.builds(
        OffsetsCommitted,
        group_id=GROUPS,
        offsets=st.lists(st.builds(lambda key, offset: (*key, offset), PARTITIONS, OFFSETS)).map(tuple),
    ),
    st.builds(OffsetsRemoved, group_id=GROUPS, partitions=st.lists(PARTITIONS).map(tuple)),
)


def folded(entries: list[Entry]) -> DurableGroups:
    """The state after these entries."""
    state = DurableGroups()
    for entry in entries:
        state.apply(entry)
    return state


@given(st.lists(ENTRIES), st.integers(0, 10))
def test_a_snapshot_followed_by_entries_it_contains_is_the_same_state(
    entries: list[Entry], back: int
) -> None:
    state = folded(entries)
    again = folded([*state.entries(), *entries[len(entries) - back :], *state.entries()])
    whole = {group: dict(state.offsets(group)) for group in ("a", "b")}
    if back <= len(entries):
        assert {group: dict(again.offsets(group)) for group in ("a", "b")} == whole
    assert {group: dict(folded(list(state.entries())).offsets(group)) for group in ("a", "b")} == whole


def test_a_group_with_many_offsets_is_saved_in_entries_of_bounded_size() -> None:
    offset = Offset(1, -1, "", 0, UUID(int=1))
    count = 2 * OFFSETS_PER_ENTRY + 1
    state = folded([OffsetsCommitted("a", tuple(("t", partition, offset) for partition in range(count)))])
    sizes = [len(entry.offsets) for entry in state.entries() if isinstance(entry, OffsetsCommitted)]
    assert sizes == [OFFSETS_PER_ENTRY, OFFSETS_PER_ENTRY, 1]


@pytest.mark.parametrize(
    ("commit_ms", "empty_since_ms", "wall_ms", "gone"),
    [
        (100, None, 199, False),
        (100, None, 200, True),
        (100, 150, 200, False),
        (100, 150, 250, True),
        (180, 150, 250, False),
    ],
)
def test_an_offset_ages_from_its_commit_or_from_the_end_of_its_group(
    commit_ms: int, empty_since_ms: int | None, wall_ms: int, gone: bool
) -> None:
    offsets = {("t", 0): Offset(1, -1, "", commit_ms, UUID(int=1))}
    old = expired(offsets, empty_since_ms=empty_since_ms, retention_ms=100, wall_ms=wall_ms)
    assert old == ((("t", 0),) if gone else ())
