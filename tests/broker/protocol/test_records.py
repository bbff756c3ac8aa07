import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from trunkline.broker.protocol import batch
from trunkline.broker.protocol.batch import BatchHeader, InvalidBatch
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.records import DECOMPRESSED_BYTES_MAX, NewRecord, build, records

CODECS = [batch.CODEC_NONE, batch.CODEC_GZIP]
NOW = 1_700_000_000_000

new_records = st.lists(
    st.builds(
        NewRecord,
        key=st.none() | st.binary(max_size=200),
        value=st.none() | st.binary(max_size=200),
        headers=st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=20)), max_size=3),
        timestamp=st.none() | st.integers(0, 1 << 45),
    ),
    min_size=1,
    max_size=5,
)


def with_kafka_python(new: list[NewRecord], *, codec: int) -> bytes:
    builder: Any = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=codec,
        is_transactional=False,
        producer_id=5,
        producer_epoch=1,
        base_sequence=9,
        batch_size=1 << 20,
    )
    for offset, item in enumerate(new):
        time = NOW if item.timestamp is None else item.timestamp
        builder.append(offset, time, item.key, item.value, list(item.headers))
    return bytes(builder.build())


@pytest.mark.parametrize("codec", CODECS)
@given(new_records)
def test_records_of_another_implementation_read_the_same(codec: int, new: list[NewRecord]) -> None:
    theirs = with_kafka_python(new, codec=codec)
    header = BatchHeader.parse(theirs)
    batch.check(header, theirs)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (5, 1, 9)
    for offset, (item, record) in enumerate(zip(new, records(theirs), strict=True)):
        time = NOW if item.timestamp is None else item.timestamp
        assert record == (offset, time, item.key, item.value, tuple(item.headers))


@given(new_records)
def test_an_uncompressed_batch_is_the_same_bytes_as_another_implementation_makes(
    new: list[NewRecord],
) -> None:
    ours = build(new, timestamp=NOW, producer_id=5, producer_epoch=1, base_sequence=9)
    assert bytes(ours) == with_kafka_python(new, codec=batch.CODEC_NONE)


@pytest.mark.parametrize("codec", CODECS)
@given(new=new_records, base_offset=st.integers(0, 1 << 60))
def test_another_implementation_reads_what_was_built(
    codec: int, new: list[NewRecord], base_offset: int
) -> None:
    built = build(new, base_offset=base_offset, timestamp=NOW, codec=codec)
    theirs: Any = DefaultRecordBatch(bytes(built))
    assert theirs.validate_crc()
    assert [record.offset for record in theirs] == [base_offset + place for place in range(len(new))]
    assert [record.value for record in DefaultRecordBatch(bytes(built))] == [item.value for item in new]


def test_log_append_time_stands_for_the_time_of_every_record() -> None:
    built = build(
        [NewRecord(None, b"a", timestamp=5), NewRecord(None, b"b", timestamp=9)],
        flags=batch.TIMESTAMP_TYPE_FLAG,
    )
    assert [record.timestamp for record in records(built)] == [9, 9]


@given(st.data())
def test_broken_records_are_refused_as_corrupt(data: st.DataObject) -> None:
    built = build([NewRecord(b"key", b"value", [("h", b"1")]), NewRecord(None, None)])
    at = data.draw(st.integers(batch.HEADER_BYTES, len(built) - 1))
    built[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidBatch):
        assert len(list(records(built))) == 2


@given(st.binary(max_size=60), st.integers(1, 3), st.sampled_from(CODECS))
def test_random_bytes_in_place_of_records_never_raise_anything_but_invalid_batch(
    body: bytes, count: int, codec: int
) -> None:
    header = BatchHeader.parse(build([NewRecord(None, b"")]))._replace(
        length=batch.HEADER_BYTES - batch.LENGTH_PREFIX_BYTES + len(body),
        record_count=count,
        attributes=codec,
    )
    with pytest.raises(InvalidBatch):
        list(records(batch.HEADER.pack(*header) + body + b"\xff"[: not body]))


def test_a_compression_that_is_not_read_here_is_named() -> None:
    built = build([NewRecord(None, b"x")], flags=2)
    with pytest.raises(InvalidBatch, match="compression 2") as raised:
        list(records(built))
    assert raised.value.code is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE


def test_a_gzip_bomb_is_refused() -> None:
    built = build([NewRecord(None, bytes(DECOMPRESSED_BYTES_MAX))], codec=batch.CODEC_GZIP)
    with pytest.raises(InvalidBatch, match="unfolds to more") as raised:
        list(records(built))
    assert raised.value.code is ErrorCode.RECORD_LIST_TOO_LARGE


@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_gzip_batch_that_is_cut_is_refused(cut: int) -> None:
    built = build([NewRecord(None, b"x" * 100)], codec=batch.CODEC_GZIP)
    header = BatchHeader.parse(built)
    built[: batch.HEADER_BYTES] = batch.HEADER.pack(*header._replace(length=header.length - cut))
    with pytest.raises(InvalidBatch, match="gzip"):
        list(records(built))


def test_a_batch_needs_a_record_and_a_codec_that_exists_here() -> None:
    with pytest.raises(ValueError, match="at least one"):
        build([])
    with pytest.raises(ValueError, match="compression 4"):
        build([NewRecord(None, b"")], codec=4)
