"""What a produce request must be before it may touch the file: whole, intact, small enough, in sequence."""

from dataclasses import dataclass
from typing import TypeAlias

from trunkline.broker.log.errors import AppendRefused
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.producers import ProducerBatch, Producers, WrittenBatch
from trunkline.broker.protocol.batch import (
    CRC_AT,
    NO_PRODUCER_ID,
    TIMESTAMP_TYPE_FLAG,
    BatchHeader,
    InvalidBatch,
    check,
    checksum,
    place,
    split,
)
from trunkline.broker.protocol.errors import ErrorCode

Writable: TypeAlias = bytearray | memoryview

_ATTRIBUTES_AT = 21
_MAX_TIMESTAMP_AT = 35


@dataclass(slots=True)
class Incoming:
    """The admitted batches of one request, as (position in the data, header)."""

    batches: list[tuple[int, BatchHeader]]
    record_count: int
    producer_batch: ProducerBatch | None
    duplicate: WrittenBatch | None

    def place(self, data: Writable, *, base_offset: int, leader_epoch: int) -> None:
        """Write the offsets the log gives them, and its epoch, into the batches."""
        for start, header in self.batches:
            place(data, start, base_offset=base_offset, leader_epoch=leader_epoch)
            base_offset += header.record_count

    def stamp(self, data: Writable, *, now_ms: int) -> None:
        """Give all records the time of the append, as message.timestamp.type=LogAppendTime asks."""
        for number, (start, header) in enumerate(self.batches):
            end = start + header.size
            attributes = header.attributes | TIMESTAMP_TYPE_FLAG
            data[start + _ATTRIBUTES_AT : start + _ATTRIBUTES_AT + 2] = attributes.to_bytes(
                2, "big", signed=True
            )
            data[start + _MAX_TIMESTAMP_AT : start + _MAX_TIMESTAMP_AT + 8] = now_ms.to_bytes(8, "big")
            data[start + CRC_AT : start + CRC_AT + 4] = checksum(data, start, end).to_bytes(4, "big")
            self.batches[number] = (start, BatchHeader.parse(data, start))


def admit(data: Writable, *, options: LogOptions, producers: Producers) -> Incoming:
    """Check the batches of one request. Raises `AppendRefused`; nothing was changed then."""
    batches = []
    record_count = 0
    try:
        for header, start, _ in split(data):
            _check_limits(header, options)
            check(header, data, start)
            batches.append((start, header))
            record_count += header.record_count
    except InvalidBatch as refusal:
        raise AppendRefused(refusal.code, str(refusal)) from refusal
    if not batches:
        raise AppendRefused(ErrorCode.INVALID_RECORD, "a produce request without a record batch")
    producer_batch = _producer_batch(batches)
    duplicate = producers.check(producer_batch) if producer_batch is not None else None
    return Incoming(batches, record_count, producer_batch, duplicate)


def _check_limits(header: BatchHeader, options: LogOptions) -> None:
    if header.size > options.max_message_bytes:
        raise AppendRefused(
            ErrorCode.MESSAGE_TOO_LARGE,
            f"a record batch has {header.size} bytes; max.message.bytes is {options.max_message_bytes}",
        )
    if header.is_control:
        raise AppendRefused(ErrorCode.INVALID_RECORD, "clients may not write control batches")
    if header.is_transactional:
        raise AppendRefused(ErrorCode.INVALID_TXN_STATE, "there are no transactions on this broker")


def _producer_batch(batches: list[tuple[int, BatchHeader]]) -> ProducerBatch | None:
    if all(header.producer_id == NO_PRODUCER_ID for _, header in batches):
        return None
    if len(batches) > 1:
        raise AppendRefused(ErrorCode.INVALID_RECORD, "an idempotent producer sends one batch a partition")
    header = batches[0][1]
    if header.producer_epoch < 0 or header.base_sequence < 0:
        raise AppendRefused(ErrorCode.INVALID_RECORD, "a batch with a producer id but no epoch or sequence")
    return ProducerBatch(header.producer_id, header.producer_epoch, header.base_sequence, header.record_count)
