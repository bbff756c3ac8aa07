"""How large an event is on the wire: the size of a record batch (magic 2) that holds it alone, uncompressed.

The broker compares the batch with `max.message.bytes` as it arrives, or as its topic's own compression leaves
it. librdkafka sends an event that fills a batch alone, and sends it uncompressed if compression would make it
larger: an event within `EVENT_BYTES_MAX` by this measure is within the contract's limit on any broker.
"""

from typing import Final

from trunkline.codec.record import Encoded

BATCH_HEADER_BYTES: Final = 61
"""From the base offset up to the record count (kafka.apache.org/documentation/#recordbatch)."""

_RECORD_FIXED_BYTES: Final = 3
"""Attributes, and the deltas of timestamp and offset, which are 0 for a lone record."""

_ROOM_BYTES: Final = 64
"""More than the fixed fields and the varints of one record, as librdkafka reckons them."""

_VARINTS_BYTES: Final = 10
"""As much as both varints of a header can take. Names are ASCII, so a character is a byte."""

BESIDE_VALUE_BYTES_MAX: Final = 512 * 1024
"""More than key and headers can take: the codec bounds the number of attributes and the length of each."""


def fits(encoded: Encoded, limit: int) -> bool:
    """Whether the event is within the limit; exact, and cheap for all but the largest."""
    return len(encoded.value) + BESIDE_VALUE_BYTES_MAX <= limit or batch_bytes(encoded) <= limit


def upper_bound(encoded: Encoded) -> int:
    """Not less than the event takes in a batch; cheap, for adding up."""
    size = len(encoded.value) + len(encoded.key) + _ROOM_BYTES
    for name, value in encoded.headers:
        size += len(value) + len(name) + _VARINTS_BYTES
    return size


def batch_bytes(encoded: Encoded) -> int:
    """The exact size of a batch that holds only this event."""
    body = _RECORD_FIXED_BYTES + _field(encoded.key) + _field(encoded.value) + _varint(len(encoded.headers))
    for name, value in encoded.headers:
        body += _field(name.encode()) + _field(value)
    return BATCH_HEADER_BYTES + _varint(body) + body


def _field(value: bytes) -> int:
    return _varint(len(value)) + len(value)


def _varint(value: int) -> int:
    """Bytes of a non-negative number in Kafka's zigzag varint: seven bits a byte, one bit for the sign."""
    return max(1, ((2 * value).bit_length() + 6) // 7)
