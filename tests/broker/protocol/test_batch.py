from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.memory_records import MemoryRecordsBuilder

from trunkline.broker.protocol import batch
from trunkline.broker.protocol.batch import BatchHeader, InvalidBatch
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.records import NewRecord, build

ONE = NewRecord(b"key", b"value")


def changed(**fields: int) -> bytearray:
    """A good batch with other header fields and a checksum that fits them."""
    built = build([ONE, ONE])
    header = BatchHeader.parse(built)._replace(**fields)
    batch.HEADER.pack_into(built, 0, *header)
    if "crc" not in fields:
        crc = batch.checksum(built, 0, len(built))
        batch.HEADER.pack_into(built, 0, *header._replace(crc=crc))
    return built


def refusal(action: Callable[[], object]) -> ErrorCode:
    with pytest.raises(InvalidBatch) as raised:
        action()
    assert "\n" not in str(raised.value)
    return raised.value.code


def test_the_header_is_what_another_implementation_reads() -> None:
    built = build(
        [ONE, ONE, ONE],
        base_offset=1 << 40,
        leader_epoch=7,
        timestamp=123,
        producer_id=1 << 33,
        producer_epoch=4,
        base_sequence=(1 << 31) - 2,
        flags=batch.TRANSACTIONAL_FLAG | batch.CONTROL_FLAG,
    )
    ours, theirs = BatchHeader.parse(built), DefaultRecordBatch(bytes(built))
    pairs: list[tuple[Any, Any]] = [
        (ours.base_offset, theirs.base_offset),
        (ours.size, theirs.size_in_bytes),
        (ours.leader_epoch, theirs.leader_epoch),
        (ours.magic, theirs.magic),
        (ours.crc, theirs.crc),
        (ours.attributes, theirs.attributes),
        (ours.last_offset, theirs.last_offset),
        (ours.next_offset, theirs.next_offset),
        (ours.base_timestamp, theirs.first_timestamp),
        (ours.max_timestamp, theirs.max_timestamp),
        (ours.producer_id, theirs.producer_id),
        (ours.producer_epoch, theirs.producer_epoch),
        (ours.base_sequence, theirs.base_sequence),
        (ours.last_sequence, theirs.last_sequence),
        (ours.record_count, theirs.records_count),
        (ours.is_transactional, theirs.is_transactional),
        (ours.is_control, theirs.is_control_batch),
    ]
    assert all(one == other for one, other in pairs), pairs
    assert ours.last_sequence == 0


@given(st.lists(st.integers(1, 3), min_size=0, max_size=4), st.integers(0, 5))
def test_batches_that_lie_back_to_back_are_split(counts: list[int], lead: int) -> None:
    parts = [build([ONE] * count, base_offset=count) for count in counts]
    whole = b"".join(parts)
    found = list(batch.split(whole))
    assert [whole[start:end] for _, start, end in found] == [bytes(part) for part in parts]
    assert [header.record_count for header, _, _ in found] == counts
    for header, start, _ in found:
        batch.check(header, whole, start)


@pytest.mark.parametrize("magic", [0, 1])
def test_the_formats_before_record_batches_are_refused_by_name(magic: int) -> None:
    builder: Any = MemoryRecordsBuilder(magic=magic, compression_type=0, batch_size=1 << 16)
    builder.append(timestamp=1, key=b"k", value=b"v" * 100)
    builder.close()
    old = bytes(builder.buffer())
    assert refusal(lambda: list(batch.split(old))) is ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


@given(st.integers(1, 130))
def test_a_cut_batch_is_corrupt(size: int) -> None:
    cut = bytes(build([ONE, ONE]))
    cut = cut[: min(size, len(cut) - 1)]
    assert refusal(lambda: list(batch.split(cut))) is ErrorCode.CORRUPT_MESSAGE


@pytest.mark.parametrize("length", [-1, 0, 48, 1 << 30])
def test_an_impossible_length_is_corrupt(length: int) -> None:
    built = build([ONE])
    header = BatchHeader.parse(built)._replace(length=length)
    batch.HEADER.pack_into(built, 0, *header)
    assert refusal(lambda: list(batch.split(built))) is ErrorCode.CORRUPT_MESSAGE
    assert refusal(lambda: batch.check(header, built)) is ErrorCode.CORRUPT_MESSAGE


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_but_invalid_batch(buffer: bytes) -> None:
    try:
        for header, start, _ in batch.split(buffer):
            batch.check(header, buffer, start)
    except InvalidBatch:
        return
    assert not buffer


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"magic": 3}, ErrorCode.CORRUPT_MESSAGE),
        ({"crc": 1}, ErrorCode.CORRUPT_MESSAGE),
        ({"record_count": 0}, ErrorCode.INVALID_RECORD),
        ({"record_count": -1}, ErrorCode.INVALID_RECORD),
        ({"record_count": 3}, ErrorCode.INVALID_RECORD),
        ({"last_offset_delta": 5}, ErrorCode.INVALID_RECORD),
        ({"attributes": 5}, ErrorCode.UNSUPPORTED_COMPRESSION_TYPE),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(fields: dict[str, int], code: ErrorCode) -> None:
    built = changed(**fields)
    assert refusal(lambda: batch.check(BatchHeader.parse(built), built)) is code


def test_one_flipped_bit_anywhere_under_the_checksum_is_found() -> None:
    built = build([ONE])
    for at in range(batch.CRC_AT, len(built)):
        broken = bytearray(built)
        broken[at] ^= 1
        assert not batch.crc_matches(broken, BatchHeader.parse(broken))


def test_a_batch_gets_its_place_in_the_log_without_a_new_checksum() -> None:
    buffer = bytearray(b"before") + build([ONE, ONE])
    batch.place(buffer, 6, base_offset=1 << 50, leader_epoch=3)
    header = BatchHeader.parse(buffer, 6)
    batch.check(header, buffer, 6)
    assert (header.base_offset, header.last_offset, header.leader_epoch) == (1 << 50, (1 << 50) + 1, 3)
