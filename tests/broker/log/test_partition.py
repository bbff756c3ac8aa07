"""A partition log keeps what it acknowledged, shows only what is synced, refuses what it must not take."""

from pathlib import Path

import psutil
import pytest

from trunkline.broker.log.checkpoint import CHECKPOINT_NAME
from trunkline.broker.log.errors import AppendRefused, LogStopped, OffsetOutOfRange
from trunkline.broker.log.fs import OsFs
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.log.old_segments import OLD_SEGMENTS_OPEN
from trunkline.broker.log.options import LogOptions
from trunkline.broker.log.partition import Appended, PartitionLog
from trunkline.broker.protocol.batch import (
    CODEC_GZIP,
    CONTROL_FLAG,
    TIMESTAMP_TYPE_FLAG,
    TRANSACTIONAL_FLAG,
    crc_matches,
    split,
)
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.records import NewRecord, build, records
from trunkline.testing.log_desk import NOW_MS, LogDesk, make_batch

IDEMPOTENT = {"producer_id": 7, "producer_epoch": 0}


def refusal(desk: LogDesk, data: bytearray) -> ErrorCode:
    end = desk.log.log_end_offset
    with pytest.raises(AppendRefused) as raised:
        desk.log.append(data, now_ms=NOW_MS)
    assert desk.log.log_end_offset == end
    return raised.value.error


def test_offsets_are_given_in_order_and_written_into_the_batches(desk: LogDesk) -> None:
    assert desk.append(b"a", b"b") == Appended(0, 1, -1, duplicate=False)
    assert desk.append(b"c") == Appended(2, 2, -1, duplicate=False)
    desk.commit()
    assert [(header.base_offset, header.leader_epoch) for header in desk.headers()] == [(0, 0), (2, 0)]
    assert desk.values() == [b"a", b"b", b"c"]


def test_several_batches_of_one_request_follow_each_other(desk: LogDesk) -> None:
    appended = desk.log.append(make_batch(b"a", b"b") + make_batch(b"c"), now_ms=NOW_MS)
    assert (appended.base_offset, appended.last_offset) == (0, 2)
    desk.commit()
    assert [header.base_offset for header in desk.headers()] == [0, 2]


def test_nothing_is_visible_before_it_is_synced(desk: LogDesk) -> None:
    desk.append(b"a")
    assert desk.log.high_watermark == 0
    assert desk.log.read(0, 1000) == b""
    offset = desk.log.sync()
    desk.append(b"b")
    desk.log.advance(offset)
    assert desk.log.high_watermark == 1
    assert desk.values() == [b"a"]
    assert desk.log.read(1, 1000) == b""


def test_what_is_appended_during_a_sync_stays_hidden_until_the_next_one(desk: LogDesk) -> None:
    desk.append(b"a")
    first = desk.log.sync()
    desk.append(b"b")
    second = desk.log.sync()
    desk.append(b"c")
    desk.log.advance(first)
    assert desk.values() == [b"a"]
    desk.log.advance(second)
    assert desk.values() == [b"a", b"b"]


def test_the_high_watermark_never_goes_back(desk: LogDesk) -> None:
    desk.append(b"a")
    first = desk.log.sync()
    desk.append(b"b")
    desk.commit()
    desk.log.advance(first)
    assert desk.log.high_watermark == 2


def test_without_waiting_for_the_device_all_that_is_appended_can_be_shown(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.log.advance(desk.log.log_end_offset)
    assert desk.values() == [b"a"]


def test_a_read_returns_whole_batches_within_its_limit(desk: LogDesk) -> None:
    for number in range(10):
        desk.append(b"%d" % number)
    desk.commit()
    size = len(make_batch(b"0"))
    data = desk.log.read(3, 3 * size + size // 2)
    assert [header.base_offset for header, _, _ in split(data)] == [3, 4, 5]


def test_the_first_batch_is_returned_whatever_its_size_unless_asked_otherwise(desk: LogDesk) -> None:
    desk.append(b"x" * 5000)
    desk.commit()
    assert len(desk.log.read(0, 10)) == len(make_batch(b"x" * 5000))
    assert desk.log.read(0, 10, minimum_one=False) == b""


def test_a_read_from_inside_a_batch_begins_with_that_batch(desk: LogDesk) -> None:
    desk.append(b"a", b"b", b"c")
    desk.commit()
    assert [header.base_offset for header, _, _ in split(desk.log.read(1, 1000))] == [0]


def test_reads_outside_the_log_are_out_of_range(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.commit()
    assert desk.log.read(1, 1000) == b""
    with pytest.raises(OffsetOutOfRange):
        desk.log.read(2, 1000)
    desk.log.delete_before(-1)
    with pytest.raises(OffsetOutOfRange):
        desk.log.read(0, 1000)


def test_segments_roll_by_size_and_are_read_across() -> None:
    desk = LogDesk(segment_bytes=1000)
    for number in range(50):
        desk.append(b"%03d" % number * 30)
    desk.commit()
    assert len([name for name in desk.fs.listdir(desk.directory) if name.endswith(".log")]) > 5
    assert desk.values() == [b"%03d" % number * 30 for number in range(50)]
    desk.log.close()
    desk.open()
    assert desk.values() == [b"%03d" % number * 30 for number in range(50)]


def test_segments_roll_by_age_across_a_restart() -> None:
    desk = LogDesk(segment_ms=1000)
    desk.append(b"a")
    desk.log.close()
    desk.now_ms += 1001
    desk.open()
    desk.append(b"b")
    assert desk.fs.exists(desk.segment_path(1))


def test_a_bad_checksum_is_refused(desk: LogDesk) -> None:
    data = make_batch(b"a")
    data[-1] ^= 1
    assert refusal(desk, data) is ErrorCode.CORRUPT_MESSAGE


def test_a_batch_beyond_the_limit_is_refused() -> None:
    desk = LogDesk(max_message_bytes=500)
    assert refusal(desk, make_batch(b"x" * 500)) is ErrorCode.MESSAGE_TOO_LARGE
    desk.append(b"x" * 100)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (bytearray(), ErrorCode.INVALID_RECORD),
        (bytearray(b"\0" * 100), ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT),
        (make_batch(b"a", flags=CONTROL_FLAG), ErrorCode.INVALID_RECORD),
        (make_batch(b"a", flags=TRANSACTIONAL_FLAG), ErrorCode.INVALID_TXN_STATE),
        (make_batch(b"a", producer_id=7), ErrorCode.INVALID_RECORD),
        (
            make_batch(b"a", base_sequence=0, **IDEMPOTENT) + make_batch(b"b", base_sequence=1, **IDEMPOTENT),
            ErrorCode.INVALID_RECORD,
        ),
    ],
)
def test_what_no_client_may_write_is_refused(desk: LogDesk, data: bytearray, error: ErrorCode) -> None:
    assert refusal(desk, data) is error


def test_a_retry_returns_the_first_offsets_and_appends_nothing(desk: LogDesk) -> None:
    desk.append(b"other")
    desk.append(b"a", b"b", base_sequence=0, **IDEMPOTENT)
    desk.append(b"c", base_sequence=2, **IDEMPOTENT)
    assert desk.append(b"a", b"b", base_sequence=0, **IDEMPOTENT) == Appended(1, 2, -1, duplicate=True)
    assert desk.log.log_end_offset == 4


def test_a_gap_in_the_sequence_is_refused(desk: LogDesk) -> None:
    desk.append(b"a", base_sequence=0, **IDEMPOTENT)
    assert refusal(desk, make_batch(b"c", base_sequence=2, **IDEMPOTENT)) is (
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    )


def test_log_append_time_replaces_the_time_of_the_records() -> None:
    desk = LogDesk(timestamp_type="LogAppendTime")
    assert desk.append(b"a", timestamp=5) == Appended(0, 0, NOW_MS, duplicate=False)
    desk.commit()
    data = desk.log.read(0, 1000)
    (header,) = desk.headers()
    assert header.attributes & TIMESTAMP_TYPE_FLAG
    assert crc_matches(data, header)
    assert [record.timestamp for record in records(data)] == [NOW_MS]


def test_a_full_disk_refuses_without_a_trace_and_recovers_when_there_is_room(desk: LogDesk) -> None:
    desk.append(b"a", base_sequence=0, **IDEMPOTENT)
    desk.commit()
    desk.fs.capacity_bytes = desk.fs.used_bytes() + 10
    data = make_batch(b"b", base_sequence=1, **IDEMPOTENT)
    assert refusal(desk, data[:]) is ErrorCode.KAFKA_STORAGE_ERROR
    assert refusal(desk, data[:]) is ErrorCode.KAFKA_STORAGE_ERROR
    desk.commit()
    desk.fs.capacity_bytes = float("inf")
    assert desk.log.append(data, now_ms=NOW_MS) == Appended(1, 1, -1, duplicate=False)
    desk.commit()
    assert desk.values() == [b"a", b"b"]


def test_a_disk_too_full_for_a_checkpoint_stops_nobody() -> None:
    desk = LogDesk(checkpoint_interval_bytes=1)
    desk.append(b"a")
    desk.fs.capacity_bytes = desk.fs.used_bytes()
    desk.commit()
    assert desk.values() == [b"a"]
    desk.fs.capacity_bytes = float("inf")
    desk.commit()
    assert desk.crash().recovery.scanned_bytes == 0


def test_a_failed_sync_stops_the_partition_until_it_is_opened_again(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.commit()
    desk.append(b"lost")
    desk.fs.fail_sync = True
    with pytest.raises(LogStopped):
        desk.log.sync()
    desk.fs.fail_sync = False
    with pytest.raises(LogStopped):
        desk.log.sync()
    assert desk.log.is_stopped
    assert refusal(desk, make_batch(b"b")) is ErrorCode.KAFKA_STORAGE_ERROR
    assert desk.values() == [b"a"]
    desk.log.close()
    desk.crash()
    assert desk.values() == [b"a"]
    desk.append(b"b")


def test_the_first_record_at_a_time_is_found_inside_batches(desk: LogDesk) -> None:
    for start in (100, 200, 300):
        new = [NewRecord(b"k", b"v" * 2000, timestamp=start + step) for step in (0, 10, 20)]
        desk.log.append(build(new, codec=CODEC_GZIP if start == 200 else 0), now_ms=NOW_MS)
    assert desk.log.offset_for_time(0) is None
    desk.commit()
    assert desk.log.offset_for_time(0) == (100, 0, 0)
    assert desk.log.offset_for_time(105) == (110, 1, 0)
    assert desk.log.offset_for_time(121) == (200, 3, 0)
    assert desk.log.offset_for_time(215) == (220, 5, 0)
    assert desk.log.offset_for_time(320) == (320, 8, 0)
    assert desk.log.offset_for_time(321) is None


def test_a_search_by_time_never_skips_what_it_cannot_look_into(desk: LogDesk) -> None:
    desk.append(b"early", timestamp=100)
    snappy = 2
    desk.append(b"a", b"b", timestamp=200, flags=snappy)
    desk.append(b"late", timestamp=300)
    desk.commit()
    assert desk.log.offset_for_time(150) == (200, 1, 0)


def test_a_search_by_time_works_across_segments_and_out_of_order_timestamps() -> None:
    desk = LogDesk(segment_bytes=600)
    stamps = [50, 40, 90, 10, 70, 95, 20, 99, 98]
    for stamp in stamps:
        desk.append(b"x" * 200, timestamp=stamp)
    desk.commit()
    for _ in range(2):
        for wanted in range(100):
            first = next(offset for offset, stamp in enumerate(stamps) if stamp >= wanted)
            found = desk.log.offset_for_time(wanted)
            assert found is not None
            assert found.offset == first
        assert desk.log.max_timestamp_offset() == (99, 7, 0)
        desk.log.close()
        desk.open()


def test_the_greatest_timestamp_of_an_empty_log_is_none(desk: LogDesk) -> None:
    assert desk.log.max_timestamp_offset() is None


def test_deleted_records_cannot_be_read_and_stay_deleted() -> None:
    desk = LogDesk(segment_bytes=300)
    for number in range(10):
        desk.append(b"%d" % number * 100)
    desk.commit()
    assert desk.log.delete_before(5) == 5
    assert desk.values() == [b"%d" % number * 100 for number in range(5, 10)]
    desk.commit()
    assert not desk.fs.exists(desk.segment_path(0))
    assert desk.crash().log_start_offset == 5
    assert desk.log.delete_before(3) == 5
    with pytest.raises(OffsetOutOfRange):
        desk.log.delete_before(11)


def test_a_segment_deleted_while_another_part_of_the_log_is_synced_stays_deleted() -> None:
    """With `os` durability a segment may be read, and so deleted, before it was synced."""

    class BusyFs(MemoryFs):
        def sync_dir(self, path: Path) -> None:
            super().sync_dir(path)
            if path == desk.directory and not done:
                done.append(True)
                desk.append(b"b")
                desk.append(b"c" * 700)
                desk.log.advance(desk.log.log_end_offset)
                desk.log.delete_before(2)

    done: list[bool] = []
    desk = LogDesk(segment_bytes=700, checkpoint_interval_bytes=1)
    desk.fs = BusyFs()
    desk.open()
    desk.append(b"a")
    desk.log.advance(desk.log.log_end_offset)
    desk.log.sync()
    assert done
    desk.log.sync()
    desk.log.sync()
    assert [name for name in desk.fs.listdir(desk.directory) if name.endswith(".log")] == [
        desk.segment_path(2).name
    ]


def test_retention_drops_old_segments_but_never_what_is_not_expired() -> None:
    desk = LogDesk(segment_bytes=300, retention_ms=1000)
    for age in (3000, 2000, 1500, 500, 100):
        desk.append(b"x" * 200, timestamp=NOW_MS - age)
    desk.commit()
    assert desk.log.retention(NOW_MS)
    assert desk.log.log_start_offset == 3
    desk.commit()
    assert not desk.log.retention(NOW_MS)
    assert not desk.fs.exists(desk.segment_path(2))


def test_retention_closes_an_active_segment_that_has_expired_as_a_whole() -> None:
    desk = LogDesk(retention_ms=1000)
    desk.append(b"x", timestamp=NOW_MS - 2000)
    desk.commit()
    assert desk.log.retention(NOW_MS)
    assert (desk.log.log_start_offset, desk.log.log_end_offset) == (1, 1)
    desk.append(b"y")
    desk.commit()
    assert desk.values() == [b"y"]
    assert [header.base_offset for header in desk.headers()] == [1]


def test_retention_by_size_keeps_at_least_what_was_asked_for() -> None:
    desk = LogDesk(segment_bytes=300, retention_bytes=1000)
    for _ in range(20):
        desk.append(b"x" * 200)
    desk.commit()
    assert desk.log.retention(NOW_MS)
    assert 1000 <= desk.log.size_bytes < 1300


def test_retention_never_drops_what_was_not_synced() -> None:
    desk = LogDesk(segment_bytes=300, retention_ms=1000)
    for _ in range(5):
        desk.append(b"x" * 200, timestamp=0)
    desk.log.retention(NOW_MS)
    assert desk.log.log_start_offset == 0


def test_the_epoch_in_force_ends_at_the_end_of_what_is_visible(desk: LogDesk) -> None:
    desk.append(b"a")
    assert desk.log.end_offset_for_epoch(0) == (0, 0)
    desk.commit()
    assert desk.log.end_offset_for_epoch(0) == (0, 1)
    assert desk.log.end_offset_for_epoch(1) == (-1, -1)
    assert desk.log.end_offset_for_epoch(-1) == (-1, -1)


def test_an_abandoned_log_writes_nothing_more(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.log.abandon()
    with pytest.raises(LogStopped):
        desk.log.sync()
    assert refusal(desk, make_batch(b"b")) is ErrorCode.KAFKA_STORAGE_ERROR


def test_a_long_log_keeps_few_files_open_however_it_is_read(tmp_path: Path) -> None:
    directory = tmp_path / "long-0"
    options = LogOptions(segment_bytes=200)

    def read_all(log: PartitionLog) -> int:
        offset = 0
        while data := log.read(offset, 1):
            offset = [header.next_offset for header, _, _ in split(data)][-1]
        return offset

    process = psutil.Process()
    before = process.num_fds()
    log = PartitionLog.open(OsFs(), directory, options=options, now_ms=NOW_MS)
    for number in range(100):
        log.append(make_batch(b"%d" % number * 100), now_ms=NOW_MS)
        log.advance(log.sync())
    log.retention(NOW_MS)
    assert process.num_fds() - before <= OLD_SEGMENTS_OPEN + 1
    for _ in range(2):
        assert read_all(log) == 100
        assert process.num_fds() - before <= OLD_SEGMENTS_OPEN + 1
        found = log.offset_for_time(NOW_MS)
        assert found is not None
        assert found.offset == 0
        log.close()
        (directory / CHECKPOINT_NAME).unlink()
        log = PartitionLog.open(OsFs(), directory, options=options, now_ms=NOW_MS)
        assert process.num_fds() - before <= 1
    log.close()
