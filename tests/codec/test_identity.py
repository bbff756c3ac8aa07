"""Ids: fresh ones are unique and ordered, derived ones are the same for ever."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from trunkline.codec import derive_id, new_id

PARTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=8), max_size=4)


def test_fresh_ids_are_version_7_and_in_order() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert sorted(set(ids)) == ids
    assert {uuid.UUID(value).version for value in ids} == {7}


def test_a_derived_id_never_changes() -> None:
    assert derive_id("import", "cloudtrail", "f4cd3135") == "89d3c8e4-a201-58ce-9269-2d1ac2cfc495"
    assert uuid.UUID(derive_id("x")).version == 5


@given(one=PARTS, other=PARTS)
def test_derived_ids_are_equal_exactly_if_their_parts_are(one: list[str], other: list[str]) -> None:
    assert (derive_id(*one) == derive_id(*other)) == (one == other)
