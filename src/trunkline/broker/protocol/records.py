"""What is inside record batches: reading records and building batches.

The broker itself needs this only off its hot path (a timestamp search, its own topics); tests and tools need
it always. Kafka's record format 2: every length and delta inside a batch is a zigzag varint.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from struct import pack_into
from typing import Final, NamedTuple

from trunkline.broker.protocol import batch
from trunkline.broker.protocol.batch import BatchHeader, InvalidBatch
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.primitives import Buffer

DECOMPRESSED_BYTES_MAX: Final = 64 * 1024 * 1024
"""A batch of 1 MB that unfolds to more than this is an attack, not data."""

VARLONG_BITS_MAX: Final = 64

RecordHeaders = Sequence[tuple[str, bytes | None]]


class Record(NamedTuple):
    """One record of a batch. `timestamp` is Unix time in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class NewRecord(NamedTuple):
    """One record to be put into a batch; its offset is its place."""

    key: bytes | None
    value: bytes | None
    headers: RecordHeaders = ()
    timestamp: int | None = None
    """Unix milliseconds; the batch's own when left out."""


def records(buffer: Buffer, start: int = 0) -> Iterator[Record]:
    """Reads the records of the batch at `start`, uncompressed or gzip.

    Raises `InvalidBatch` with UNSUPPORTED_COMPRESSION_TYPE for the other codecs and with CORRUPT_MESSAGE for
    records that do not fill the batch exactly.
    """
    header = BatchHeader.parse(buffer, start)
    body = bytes(memoryview(buffer)[start + batch.HEADER_BYTES : start + header.size])
    reader = _Reader(_decompressed(body, header.codec))
    try:
        for _ in range(header.record_count):
            yield reader.record(header)
    except (IndexError, UnicodeDecodeError):
        raise _corrupt(
            "a record reaches past the end of its batch or has a header key that is not UTF-8"
        ) from None
    if reader.position != len(reader.data):
        raise _corrupt(f"{len(reader.data) - reader.position} bytes are left over after the last record")


def build(
    new: Iterable[NewRecord],
    *,
    base_offset: int = 0,
    leader_epoch: int = 0,
    timestamp: int = 0,
    codec: int = batch.CODEC_NONE,
    producer_id: int = batch.NO_PRODUCER_ID,
    producer_epoch: int = -1,
    base_sequence: int = batch.NO_SEQUENCE,
    flags: int = 0,
) -> bytearray:
    """Makes a batch of at least one record. `timestamp` is Unix milliseconds; `codec` is none or gzip."""
    items = list(new)
    if not items:
        raise ValueError("a record batch needs at least one record")
    if codec not in (batch.CODEC_NONE, batch.CODEC_GZIP):
        raise ValueError(
            f"compression {codec} is not built here; use {batch.CODEC_NONE} or {batch.CODEC_GZIP}"
        )
    times = [timestamp if item.timestamp is None else item.timestamp for item in items]
    body = b"".join(
        _framed(item, offset_delta=place, timestamp_delta=time - times[0])
        for place, (item, time) in enumerate(zip(items, times, strict=True))
    )
    if codec == batch.CODEC_GZIP:
        body = gzip.compress(body, mtime=0)
    built = bytearray(batch.HEADER_BYTES)
    built += body
    fields = BatchHeader(
        base_offset=base_offset,
        length=len(built) - batch.LENGTH_PREFIX_BYTES,
        leader_epoch=leader_epoch,
        magic=batch.MAGIC,
        crc=0,
        attributes=codec | flags,
        last_offset_delta=len(items) - 1,
        base_timestamp=times[0],
        max_timestamp=max(times),
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        record_count=len(items),
    )
    batch.HEADER.pack_into(built, 0, *fields)
    pack_into(">I", built, batch.CRC_AT, batch.checksum(built, 0, len(built)))
    return built


def _framed(item: NewRecord, *, offset_delta: int, timestamp_delta: int) -> bytes:
    """One record with its length in front."""
    parts = [
        b"\0",
        _varint(timestamp_delta),
        _varint(offset_delta),
        _optional(item.key),
        _optional(item.value),
    ]
    parts.append(_varint(len(item.headers)))
    for name, value in item.headers:
        parts += (_optional(name.encode()), _optional(value))
    content = b"".join(parts)
    return _varint(len(content)) + content


def _optional(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """A signed integer as a zigzag varint."""
    folded = value << 1 if value >= 0 else (-value << 1) - 1
    encoded = bytearray()
    while folded > 0x7F:
        encoded.append(folded & 0x7F | 0x80)
        folded >>= 7
    encoded.append(folded)
    return bytes(encoded)


def _decompressed(body: bytes, codec: int) -> bytes:
    if codec == batch.CODEC_NONE:
        return body
    if codec != batch.CODEC_GZIP:
        raise InvalidBatch(
            ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, f"records of compression {codec} cannot be read here"
        )
    unfold = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        data = unfold.decompress(body, DECOMPRESSED_BYTES_MAX)
    except zlib.error as error:
        raise _corrupt(f"a gzip batch does not decompress: {error}") from None
    if unfold.unconsumed_tail:
        raise InvalidBatch(
            ErrorCode.RECORD_LIST_TOO_LARGE,
            f"a gzip batch unfolds to more than {DECOMPRESSED_BYTES_MAX} bytes",
        )
    if not unfold.eof:
        raise _corrupt("a gzip batch ends early")
    return data


def _corrupt(text: str) -> InvalidBatch:
    return InvalidBatch(ErrorCode.CORRUPT_MESSAGE, text)


class _Reader:
    """A position in the decompressed records of one batch."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def record(self, header: BatchHeader) -> Record:
        length = self.varint()
        end = self.position + length
        if length < 0:
            raise _corrupt(f"a record has the length {length}")
        self.position += 1  # attributes of a record are unused
        timestamp = header.base_timestamp + self.varint()
        if header.attributes & batch.TIMESTAMP_TYPE_FLAG:
            timestamp = header.max_timestamp
        offset = header.base_offset + self.varint()
        key, value = self.optional(), self.optional()
        headers = tuple(self.header() for _ in range(self.header_count()))
        if self.position != end:
            raise _corrupt("a record has another size than it says")
        return Record(offset, timestamp, key, value, headers)

    def header_count(self) -> int:
        count = self.varint()
        # A header takes at least two bytes.
        if count < 0 or count * 2 > len(self.data) - self.position:
            raise _corrupt(f"a record has {count} headers")
        return count

    def header(self) -> tuple[str, bytes | None]:
        name = self.optional()
        if name is None:
            raise _corrupt("a record header has no key")
        return name.decode(), self.optional()

    def optional(self) -> bytes | None:
        length = self.varint()
        if length == -1:
            return None
        end = self.position + length
        if length < 0 or end > len(self.data):
            raise _corrupt(f"a key, a value or a header has the length {length}")
        value = self.data[self.position : end]
        self.position = end
        return value

    def varint(self) -> int:
        folded = shift = 0
        while True:
            byte = self.data[self.position]
            self.position += 1
            folded |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (folded >> 1) ^ -(folded & 1)
            shift += 7
            if shift >= VARLONG_BITS_MAX:
                raise _corrupt("a variable-length integer has more than 64 bits")
