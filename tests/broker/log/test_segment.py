"""A segment survives the loss of its index and steps over damage it knows."""

import pytest
from kafka.record.memory_records import MemoryRecords

from trunkline.broker.log.segment import BrokenBatch, Damage, Segment
from trunkline.testing.log_desk import NOW_MS, LogDesk, make_batch

VALUE = b"x" * 3000


@pytest.fixture
def segment(desk: LogDesk) -> Segment:
    for _ in range(10):
        desk.append(VALUE)
    desk.commit()
    return Segment(desk.fs, desk.directory, 0, created_ms=NOW_MS)


def positions(segment: Segment) -> list[int]:
    return [position for position, _ in segment.walk(0, segment.size)]


def test_every_offset_is_found_with_or_without_index_files(desk: LogDesk, segment: Segment) -> None:
    expected = positions(segment)
    segment.finish_index()
    for again in (segment, Segment(desk.fs, desk.directory, 0, created_ms=NOW_MS)):
        for offset, position in enumerate(expected):
            found = again.find(offset, again.size)
            assert found is not None
            assert found[0] == position
        again.drop_index()
        assert again.find(9, again.size) is not None


def test_a_segment_is_what_kafkas_clients_read(desk: LogDesk) -> None:
    for value in (b"a", b"b"):
        desk.append(value, value + b"2")
    content = desk.fs.read(desk.segment_path())
    read, stored = [], MemoryRecords(content)
    while stored.has_next():
        batch = stored.next_batch()
        assert batch.validate_crc()
        read += [(record.offset, record.value) for record in batch]
    assert read == [(0, b"a"), (1, b"a2"), (2, b"b"), (3, b"b2")]


def test_an_index_older_than_the_segment_is_extended(desk: LogDesk, segment: Segment) -> None:
    segment.finish_index()
    desk.append(VALUE, timestamp=NOW_MS + 5)
    fresh = Segment(desk.fs, desk.directory, 0, created_ms=NOW_MS)
    assert fresh.index.max_timestamp_ms == NOW_MS + 5
    assert fresh.find(10, fresh.size) is not None


def test_the_maximum_timestamp_of_a_finished_segment_needs_no_index(desk: LogDesk, segment: Segment) -> None:
    segment.finish_index()
    fresh = Segment(desk.fs, desk.directory, 0, created_ms=NOW_MS)
    fresh.finished = True
    assert fresh.max_timestamp_ms == NOW_MS


def test_a_run_of_batches_ends_at_its_limit_and_before_damage(segment: Segment) -> None:
    starts = positions(segment)
    size = len(make_batch(VALUE))
    assert segment.run_end(0, 2 * size + 1, segment.size) == 2 * size
    assert segment.run_end(0, size - 1, segment.size) == 0
    assert segment.run_end(starts[3], starts[3] + 10 * size, starts[5]) == starts[5]
    segment.add_damage(Damage(0, starts[4], starts[5], 4, 5))
    assert segment.run_end(starts[2], segment.size, segment.size) == starts[4]
    assert segment.run_end(starts[5], segment.size, segment.size) == segment.size
    found = segment.find(4, segment.size)
    assert found is not None
    assert found[0] == starts[5]


def test_bytes_that_cannot_be_a_batch_stop_a_walk(desk: LogDesk, segment: Segment) -> None:
    starts = positions(segment)
    desk.flip_byte(starts[4] + 16)
    with pytest.raises(BrokenBatch) as raised:
        positions(segment)
    assert raised.value.position == starts[4]
