"""The leaf format is fixed to the byte, covers every field, and headers survive being packed."""

from hashlib import sha256
from struct import pack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.services.audit.entry import (
    Entry,
    entry_commitment,
    entry_leaf,
    from_us,
    pack_headers,
    to_us,
    unpack_headers,
)

ENTRY = Entry(
    tenant="acme",
    seq=7,
    source="/s",
    id="e-1",
    type="t.v1",
    time_us=1_700_000_000_000_001,
    ingested_us=1_700_000_000_000_002,
    topic="a.b.c",
    partition=2,
    offset=99,
    timestamp_ms=1_700_000_000_003,
    correlation_id=None,
    causation_id="",
    note=None,
    key=b"acme",
    headers=b"",
    actor_type="user",
    actor_id="zoë",
    action="read",
    resource_type=None,
    resource_id="r",
    outcome="success",
    body=b"{}",
    salt=bytes(16),
    commitment=b"",
)
SEALED = msgspec.structs.replace(ENTRY, commitment=entry_commitment(ENTRY))


def test_commitment_and_leaf_are_those_of_the_documented_format() -> None:
    commitment = sha256(
        b"trunkline-audit-1"
        + bytes(16)
        + pack(">7i", 4, 4, 4, -1, 1, 7, 2)
        + "userzoëreadrsuccess{}".encode()
    ).digest()
    assert SEALED.commitment == commitment
    times = (7, 1_700_000_000_000_002, 1_700_000_000_000_001, 2, 99, 1_700_000_000_003)
    envelope = (
        b"trunkline-audit-1"
        + pack(">6q", *times)
        + pack(">10i", 4, 2, 3, 4, -1, 0, 5, -1, 4, 0)
        + b"acme/se-1t.v1a.b.cacme"
    )
    assert entry_leaf(SEALED) == sha256(b"\x00" + envelope + commitment).digest()


@pytest.mark.parametrize("field", Entry.__struct_fields__)
def test_every_field_is_covered_by_the_leaf_or_by_the_commitment(field: str) -> None:
    value = getattr(SEALED, field)
    other: Any = {int: lambda: value + 1, str: lambda: value + " ", bytes: lambda: value + b" "}.get(
        type(value), lambda: ""
    )()
    changed = msgspec.structs.replace(SEALED, **{field: other})
    assert entry_leaf(changed) != entry_leaf(SEALED) or entry_commitment(changed) != SEALED.commitment


def test_absent_and_empty_are_not_the_same() -> None:
    for field in ("note", "correlation_id", "key"):
        absent = msgspec.structs.replace(SEALED, **{field: None})
        empty = msgspec.structs.replace(SEALED, **{field: b"" if field == "key" else ""})
        assert entry_leaf(absent) != entry_leaf(empty)


def test_a_text_cannot_move_into_the_field_beside_it() -> None:
    one = msgspec.structs.replace(SEALED, source="/s1", id="2")
    other = msgspec.structs.replace(SEALED, source="/s", id="12")
    assert entry_leaf(one) != entry_leaf(other)


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.binary())))
def test_headers_survive_packing(headers: list[tuple[str, bytes | None]]) -> None:
    assert unpack_headers(pack_headers(tuple(headers))) == tuple(headers)


@given(st.binary(min_size=1, max_size=40))
def test_bytes_that_are_no_headers_are_refused_or_understood(raw: bytes) -> None:
    try:
        headers = unpack_headers(raw)
    except ValueError:
        return
    assert pack_headers(headers) == raw


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_keep_their_microseconds(microseconds: int) -> None:
    assert to_us(from_us(microseconds)) == microseconds
