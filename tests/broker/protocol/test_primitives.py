import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.protocol.primitives import (
    UINT32_MAX,
    MalformedMessage,
    read_uvarint,
    skip_tags,
    write_uvarint,
)


@given(st.integers(0, UINT32_MAX), st.binary(max_size=3), st.binary(max_size=3))
def test_an_unsigned_varint_reads_back_wherever_it_stands(value: int, before: bytes, after: bytes) -> None:
    encoded = write_uvarint(value)
    assert read_uvarint(before + encoded + after, len(before)) == (value, len(before) + len(encoded))


@pytest.mark.parametrize("encoded", [b"\xff\xff\xff\xff\x1f", b"\x80\x80\x80\x80\x80\x01", b"\xff" * 9])
def test_a_varint_of_more_than_32_bits_is_malformed(encoded: bytes) -> None:
    with pytest.raises(MalformedMessage, match="more than 32 bits"):
        read_uvarint(encoded, 0)


def test_a_varint_that_is_cut_ends_the_message() -> None:
    with pytest.raises(IndexError):
        read_uvarint(b"\x80", 0)


def test_a_tagged_section_is_skipped_whole() -> None:
    section = b"\x02" + b"\x00\x03abc" + b"\x81\x01\x00"
    assert skip_tags(section + b"next", 0, len(section) + 4) == len(section)


def test_a_tagged_field_that_reaches_past_the_message_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="a length reaches to byte"):
        skip_tags(b"\x01\x00\x7f", 0, 3)
