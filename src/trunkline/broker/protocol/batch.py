"""Record batches, version 2 (magic 2), the only format the broker keeps.

    base offset 0 · length 8 · leader epoch 12 · magic 16 · crc 17 · attributes 21 · last offset delta 23 ·
    base timestamp 27 · max timestamp 35 · producer id 43 · producer epoch 51 · base sequence 53 · count 57 ·
    records 61

The broker never looks behind those 61 bytes on its hot path. The CRC-32C covers everything from the
attributes on, so base offset and leader epoch are patched in place without touching it. The length counts
from the leader epoch.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

import google_crc32c

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.primitives import Buffer

HEADER_BYTES: Final = 61
LENGTH_PREFIX_BYTES: Final = 12
"""Base offset and length; the length field counts what follows them."""

MAGIC: Final = 2
CODEC_MASK: Final = 0x07
CODEC_NONE: Final = 0
CODEC_GZIP: Final = 1
CODEC_MAX: Final = 4
"""None, gzip, snappy, lz4, zstd."""
TIMESTAMP_TYPE_FLAG: Final = 0x08
TRANSACTIONAL_FLAG: Final = 0x10
CONTROL_FLAG: Final = 0x20
NO_PRODUCER_ID: Final = -1
NO_SEQUENCE: Final = -1

CRC_AT: Final = 17
_MAGIC_AT: Final = 16
_ATTRIBUTES_AT: Final = 21
HEADER: Final = Struct(">qiibIhiqqqhii")
"""All 61 bytes, in the order of `BatchHeader`."""

CHECKSUM_STEP_BYTES: Final = 64 * 1024
"""The checksum library takes nothing but `bytes`. Copies of this size stay in the processor's cache and reuse
the same memory; one copy of a whole large batch would be fresh memory from the system every time."""

_BASE_OFFSET: Final = Struct(">q")
_LEADER_EPOCH: Final = Struct(">i")
_LEADER_EPOCH_AT: Final = 12
_CRC: Final = Struct(">I")
OFFSET_DELTA_MAX: Final = (1 << 31) - 1


class InvalidBatch(Exception):  # noqa: N818 - reads as what it is
    """Bytes that must not enter the log; `code` is what the protocol answers."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class BatchHeader(NamedTuple):
    """The fixed part of a batch, field by field as on the wire. Timestamps are Unix milliseconds."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.length + LENGTH_PREFIX_BYTES

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The last record's sequence number; it wraps to 0 after 2^31 - 1. Meaningless without a producer."""
        return (self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF

    @property
    def codec(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_FLAG)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_FLAG)

    @classmethod
    def parse(cls, buffer: Buffer, start: int = 0) -> "BatchHeader":
        """Reads the header at `start`, unchecked; raises `InvalidBatch` only when it is cut."""
        if len(buffer) - start < HEADER_BYTES:
            raise InvalidBatch(
                ErrorCode.CORRUPT_MESSAGE, f"a record batch is cut after {max(0, len(buffer) - start)} bytes"
            )
        return cls._make(HEADER.unpack_from(buffer, start))


def split(buffer: Buffer) -> Iterator[tuple[BatchHeader, int, int]]:
    """Walks the batches that lie back to back in `buffer`; yields header, start and end of each.

    Raises `InvalidBatch`: UNSUPPORTED_FOR_MESSAGE_FORMAT for the formats before Kafka 0.11, CORRUPT_MESSAGE
    when lengths do not add up to the buffer.
    """
    start, size = 0, len(buffer)
    while start < size:
        if size - start > _MAGIC_AT and buffer[start + _MAGIC_AT] < MAGIC:
            raise InvalidBatch(
                ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT,
                f"message format {buffer[start + _MAGIC_AT]} is older than record batches; "
                "configure the producer for Kafka 0.11 or later",
            )
        header = BatchHeader.parse(buffer, start)
        end = start + header.size
        if header.length < HEADER_BYTES - LENGTH_PREFIX_BYTES or end > size:
            raise InvalidBatch(
                ErrorCode.CORRUPT_MESSAGE,
                f"a record batch of {header.size} bytes cannot be in the {size - start} bytes that are there",
            )
        yield header, start, end
        start = end


def check(header: BatchHeader, buffer: Buffer, start: int = 0) -> None:
    """Checks the batch at `start`, whose header this is, before it may enter the log.

    Raises `InvalidBatch` when magic, length, checksum, record count or compression id are not right. What is
    inside a compressed batch is not looked at.
    """
    if header.magic != MAGIC:
        raise InvalidBatch(ErrorCode.CORRUPT_MESSAGE, f"a record batch has the unknown magic {header.magic}")
    if header.length < HEADER_BYTES - LENGTH_PREFIX_BYTES or start + header.size > len(buffer):
        raise InvalidBatch(
            ErrorCode.CORRUPT_MESSAGE, f"a record batch has the impossible length {header.length}"
        )
    if header.record_count < 1 or header.last_offset_delta != header.record_count - 1:
        raise InvalidBatch(
            ErrorCode.INVALID_RECORD,
            f"a batch counts {header.record_count} records over {header.last_offset_delta + 1} offsets",
        )
    if header.codec > CODEC_MAX:
        raise InvalidBatch(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE,
            f"a record batch has the unknown compression {header.codec}",
        )
    if not crc_matches(buffer, header, start):
        raise InvalidBatch(ErrorCode.CORRUPT_MESSAGE, "a record batch does not match its checksum")


def crc_matches(buffer: Buffer, header: BatchHeader, start: int = 0) -> bool:
    """Whether the batch at `start`, whose header this is, is whole; the buffer must hold all of it."""
    return header.crc == checksum(buffer, start, start + header.size)


def checksum(buffer: Buffer, start: int, end: int) -> int:
    """The CRC-32C of the batch that lies between `start` and `end`."""
    view = memoryview(buffer)
    crc = 0
    for begin in range(start + _ATTRIBUTES_AT, end, CHECKSUM_STEP_BYTES):
        crc = google_crc32c.extend(crc, bytes(view[begin : min(begin + CHECKSUM_STEP_BYTES, end)]))
    return crc


def place(buffer: bytearray | memoryview, start: int, *, base_offset: int, leader_epoch: int) -> None:
    """Gives the batch at `start` its place in the log, in place; neither field is under the checksum."""
    _BASE_OFFSET.pack_into(buffer, start, base_offset)
    _LEADER_EPOCH.pack_into(buffer, start + _LEADER_EPOCH_AT, leader_epoch)


def placeholder(first_offset: int, next_offset: int) -> bytes:
    """A batch without records that stands for offsets which hold none, up to, not including, `next_offset`.

    Apache Kafka's log cleaner leaves the like of it, so clients know to go on behind it.
    """
    built = bytearray(HEADER_BYTES)
    fields = BatchHeader(
        base_offset=first_offset,
        length=HEADER_BYTES - LENGTH_PREFIX_BYTES,
        leader_epoch=0,
        magic=MAGIC,
        crc=0,
        attributes=CODEC_NONE,
        last_offset_delta=min(next_offset - first_offset - 1, OFFSET_DELTA_MAX),
        base_timestamp=-1,
        max_timestamp=-1,
        producer_id=NO_PRODUCER_ID,
        producer_epoch=-1,
        base_sequence=NO_SEQUENCE,
        record_count=0,
    )
    HEADER.pack_into(built, 0, *fields)
    _CRC.pack_into(built, CRC_AT, checksum(built, 0, len(built)))
    return bytes(built)
