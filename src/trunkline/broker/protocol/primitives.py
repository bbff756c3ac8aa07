"""Wire primitives that the compiled coders share: varints, tagged sections, integer arrays."""

from struct import Struct, unpack_from
from typing import Final, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


class MalformedMessage(Exception):  # noqa: N818 - reads as what it is
    """The bytes are not the message they claim to be; the peer is at fault and the connection should end."""


UVARINT_BYTES_MAX: Final = 5
"""An unsigned varint carries 32 bits, seven a byte."""

UINT32_MAX: Final = 0xFFFFFFFF

ELEMENTS_MAX: Final = 200_000
"""Array elements in one message, nested ones included. An element of two bytes becomes an object of a
hundred, so without this a frame of 100 MB would take gigabytes and half a minute. No client comes near it: a
fetch names each partition once."""

TAGS_MAX: Final = 64
"""Tagged fields in one section; the protocol has not needed more than four."""

SMALL_UVARINTS: Final = tuple(bytes((value,)) for value in range(128))
"""Nearly every length on the wire is below 128."""

SMALL_ARRAY: Final = 9
"""Integer arrays shorter than this (replicas, in-sync replicas) have a ready-made struct."""

_INT_CODES: Final = {"int32": "i", "int64": "q"}
"""The integers that the protocol has arrays of, and their `struct` codes."""

# By kind, then by count.
INT_READERS: Final = {
    kind: tuple(Struct(f">{count}{code}").unpack_from for count in range(SMALL_ARRAY))
    for kind, code in _INT_CODES.items()
}

COMPACT_INT_WRITERS: Final = {
    kind: tuple(Struct(f">B{count}{code}").pack for count in range(SMALL_ARRAY))
    for kind, code in _INT_CODES.items()
}

INT_WRITERS: Final = {
    kind: tuple(Struct(f">i{count}{code}").pack for count in range(SMALL_ARRAY))
    for kind, code in _INT_CODES.items()
}


def read_uvarint(buffer: Buffer, position: int) -> tuple[int, int]:
    """Returns an unsigned 32-bit varint and the position after it; raises `IndexError` when cut."""
    value = 0
    for shift in range(0, 7 * UVARINT_BYTES_MAX, 7):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > UINT32_MAX:
                break
            return value, position
    raise MalformedMessage(f"a variable-length integer at byte {position} has more than 32 bits")


def write_uvarint(value: int) -> bytes:
    """The unsigned varint of a non-negative integer."""
    if value < len(SMALL_UVARINTS):
        return SMALL_UVARINTS[value]
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def skip_tags(buffer: Buffer, position: int, size: int) -> int:
    """Returns the position after a tagged section; unknown tags are allowed and ignored (KIP-482)."""
    count, position = read_uvarint(buffer, position)
    if count > TAGS_MAX:
        raise too_many(TAGS_MAX, "tagged fields in one section")
    for _ in range(count):
        _, position = read_uvarint(buffer, position)
        length, position = read_uvarint(buffer, position)
        position += length
        if position > size:
            raise overrun(position, size)
    return position


def overrun(position: int, size: int) -> MalformedMessage:
    """The error for a length or a count that points past the end of the message."""
    return MalformedMessage(f"a length reaches to byte {position} of a message of {size} bytes")


def too_many(limit: int, what: str) -> MalformedMessage:
    """The error for a message that would cost more than any honest one does."""
    return MalformedMessage(f"more than {limit} {what}")


def missing(field: str) -> MalformedMessage:
    """The error for null, or a length below it, where the protocol demands a value."""
    return MalformedMessage(f"{field} is null or has a negative length")


def read_ints(buffer: Buffer, position: int, count: int, code: str) -> list[int]:
    """A long array of fixed-size integers; the caller has checked that the bytes are there."""
    return list(unpack_from(f">{count}{code}", buffer, position))
