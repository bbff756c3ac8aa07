"""After a crash every synced batch is there; torn tails are cut, damage is kept, both are reported."""

from bisect import bisect_right
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.broker.log.checkpoint import CHECKPOINT_NAME
from trunkline.broker.log.recovery import RecoveryReport
from trunkline.broker.log.segment import Damage
from trunkline.testing.log_desk import LogDesk, make_batch

BATCH_BYTES = len(make_batch(b"000"))
LENGTH_FIELD = 8


def filled(records: int, **options: int) -> LogDesk:
    """A log of synced batches of one record each, all of the same size."""
    desk = LogDesk(**options)
    for number in range(records):
        desk.append(b"%03d" % number)
    desk.commit()
    return desk


def numbers(*ranges: range) -> list[bytes]:
    return [b"%03d" % number for numbers in ranges for number in numbers]


def test_synced_records_survive_a_crash_and_unsynced_ones_do_not(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.commit()
    desk.append(b"b")
    desk.crash()
    assert desk.values() == [b"a"]
    assert desk.log.log_end_offset == 1
    assert desk.log.recovery.is_clean
    assert desk.log.leader_epoch == 0


def test_a_torn_tail_is_truncated_and_reported(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.commit()
    desk.append(b"torn")
    log = desk.crash(torn_bytes=20)
    assert log.recovery.truncated_bytes == 20
    assert "20 bytes" in log.recovery.lines()[0]
    assert log.leader_epoch == 1
    assert log.end_offset_for_epoch(0) == (0, 1)
    desk.append(b"b")
    desk.commit()
    assert desk.values() == [b"a", b"b"]
    assert [header.leader_epoch for header in desk.headers()] == [0, 1]


def test_a_clean_shutdown_leaves_nothing_to_scan(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.log.close()
    assert desk.crash().recovery == RecoveryReport(directory=desk.directory)
    assert desk.values() == [b"a"]


def test_only_what_lies_past_the_checkpoint_is_scanned() -> None:
    desk = filled(10, checkpoint_interval_bytes=1)
    for _ in range(3):
        desk.append(b"000")
    desk.log.options = LogDesk().options
    desk.commit()
    assert desk.crash().recovery.scanned_bytes == 3 * BATCH_BYTES


def test_a_missing_or_unreadable_checkpoint_means_that_all_is_scanned() -> None:
    desk = filled(10)
    desk.log.close()
    desk.fs.corrupt(desk.directory / CHECKPOINT_NAME, 30, b"#")
    assert desk.crash().recovery.scanned_bytes == 10 * BATCH_BYTES
    assert desk.values() == numbers(range(10))


def test_epochs_are_read_back_from_the_batches_without_a_checkpoint(desk: LogDesk) -> None:
    desk.append(b"a")
    desk.commit()
    desk.append(b"torn")
    desk.crash(torn_bytes=20)
    desk.append(b"b")
    desk.commit()
    assert desk.log.leader_epoch == 1
    desk.fs.remove(desk.directory / CHECKPOINT_NAME)
    assert desk.open().leader_epoch == 1
    assert desk.log.end_offset_for_epoch(0) == (0, 1)


def test_a_flipped_byte_in_the_middle_costs_one_record_and_not_the_rest() -> None:
    """Truncating at the first bad checksum would throw away 50 acknowledged records."""
    desk = filled(100)
    desk.flip_byte(50 * BATCH_BYTES + BATCH_BYTES - 1)
    log = desk.crash()
    assert desk.values() == numbers(range(50), range(51, 100))
    assert log.recovery.damage == (Damage(0, 50 * BATCH_BYTES, 51 * BATCH_BYTES, 50, 51),)
    assert log.recovery.truncated_bytes == 0
    assert "offsets 50..50" in log.recovery.lines()[0]
    assert log.leader_epoch == 0
    desk.append(b"100")
    desk.commit()
    assert desk.values() == numbers(range(50), range(51, 101))


@pytest.mark.parametrize("position", range(0, BATCH_BYTES, 3))
def test_wherever_a_byte_flips_the_other_records_stay_readable(position: int) -> None:
    desk = filled(9)
    desk.flip_byte(4 * BATCH_BYTES + position)
    desk.crash()
    lost = numbers(range(4)) + numbers(range(5, 9))
    # The leader epoch is not under the checksum and nothing depends on it in the middle of a log.
    assert desk.values() == (numbers(range(9)) if 12 <= position < 16 else lost)


def test_damage_is_known_after_a_clean_restart_without_another_scan() -> None:
    desk = filled(9)
    desk.flip_byte(4 * BATCH_BYTES + LENGTH_FIELD)
    desk.crash()
    desk.log.close()
    log = desk.open()
    assert log.recovery.scanned_bytes == 0
    assert len(log.recovery.damage) == 1
    assert desk.values() == numbers(range(4), range(5, 9))


def test_damage_before_the_checkpoint_is_stepped_over_when_a_reader_meets_it() -> None:
    desk = filled(9)
    desk.log.close()
    desk.flip_byte(4 * BATCH_BYTES + LENGTH_FIELD)
    desk.open()
    assert desk.log.recovery.is_clean
    assert desk.values() == numbers(range(4), range(5, 9))
    desk.log.close()
    assert len(desk.open().recovery.damage) == 1


@pytest.mark.parametrize("position", range(BATCH_BYTES))
def test_rot_before_the_checkpoint_is_never_served(position: int) -> None:
    desk = filled(9)
    desk.log.close()
    desk.flip_byte(4 * BATCH_BYTES + position)
    desk.open()
    whole = numbers(range(9)) if 12 <= position < 16 else numbers(range(4), range(5, 9))
    assert desk.values() == whole
    assert desk.log.offset_for_time(0) is not None
    assert desk.values() == whole


@settings(deadline=None, max_examples=150)
@given(
    sizes=st.lists(st.integers(0, 6000), min_size=3, max_size=12),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4),
    clean=st.booleans(),
    start=st.floats(0, 1),
)
@example(sizes=[0, 0, 0], flips=[(0.75, 1), (0.25, 1)], clean=True, start=0.5)
def test_whatever_rots_all_other_batches_are_served_in_order(
    sizes: list[int], flips: list[tuple[float, int]], clean: bool, start: float
) -> None:
    desk = LogDesk()
    places = []
    for number, size in enumerate(sizes):
        places.append(desk.log.size_bytes)
        desk.append(b"%d:" % number + b"\x02" * size)
    desk.commit()
    if clean:
        desk.log.close()
    total = desk.log.size_bytes
    hit = set()
    for place, change in flips:
        position = int(place * total)
        number = bisect_right(places, position) - 1
        hit.add(number)
        # Two flips may undo each other; the checksum is what decides then.
        desk.flip_byte(position, change=change)
    log = desk.crash()
    log.read(int(start * log.high_watermark), 1000)
    served = [int(value.split(b":")[0]) for value in desk.values() if value is not None]
    assert served == sorted(set(served))
    # Rot in the last batches after a crash cannot be told from a torn tail.
    last_whole = max((number for number in range(len(sizes)) if number not in hit), default=-1)
    assert {number for number in range(last_whole + 1) if number not in hit} <= set(served)
    before = len(served)
    desk.append(b"%d:" % len(sizes))
    desk.commit()
    assert len(desk.values()) == before + 1


def test_synced_bytes_at_the_end_are_never_cut_and_their_offsets_never_given_again() -> None:
    desk = filled(5)
    desk.log.close()
    desk.flip_byte(4 * BATCH_BYTES + LENGTH_FIELD)
    size = len(desk.fs.read(desk.segment_path()) or b"")
    desk.open()
    assert desk.values() == numbers(range(4))
    assert desk.append(b"005").base_offset == 5
    desk.commit()
    assert desk.values() == [*numbers(range(4)), b"005"]
    assert len(desk.fs.read(desk.segment_path()) or b"") == size
    desk.crash()
    assert desk.values() == [*numbers(range(4)), b"005"]


def test_a_segment_that_lost_synced_bytes_is_reported_and_the_log_goes_on_after_them() -> None:
    desk = filled(5)
    desk.log.close()
    file = desk.fs.open(desk.segment_path())
    file.truncate(3 * BATCH_BYTES + 7)
    log = desk.open()
    assert [(damage.first_offset, damage.next_offset) for damage in log.recovery.damage] == [(3, 5)]
    assert desk.append(b"005").base_offset == 5
    desk.commit()
    assert desk.values() == [*numbers(range(3)), b"005"]


def test_a_batch_inside_a_record_is_not_mistaken_for_one_of_the_log() -> None:
    desk = LogDesk()
    desk.append(b"first")
    desk.append(bytes(make_batch(b"decoy", base_offset=1)))
    desk.append(b"last")
    desk.commit()
    desk.flip_byte(len(make_batch(b"first")) + 70)
    desk.crash()
    assert desk.values() == [b"first", b"last"]


def test_damage_at_the_end_of_a_segment_is_told_from_a_torn_tail_by_the_next_segment() -> None:
    desk = filled(9, segment_bytes=3 * BATCH_BYTES)
    desk.fs.remove(desk.directory / CHECKPOINT_NAME)
    desk.fs.sync_dir(desk.directory)
    desk.flip_byte(5 * BATCH_BYTES - 3 * BATCH_BYTES + LENGTH_FIELD, base_offset=3)
    log = desk.crash()
    assert log.recovery.truncated_bytes == 0
    assert desk.values() == numbers(range(5), range(6, 9))


def test_a_torn_tail_across_a_roll_is_cut_from_both_segments() -> None:
    desk = filled(3, segment_bytes=3 * BATCH_BYTES)
    desk.append(b"003")
    desk.commit()
    for name in (desk.segment_path(0), desk.segment_path(3)):
        content = desk.fs.read(name) or b""
        desk.fs.open(name).truncate(len(content) - 5)
    desk.fs.remove(desk.directory / CHECKPOINT_NAME)
    log = desk.open()
    assert log.recovery.truncated_bytes == 2 * (BATCH_BYTES - 5)
    assert log.log_end_offset == 2
    desk.append(b"002")
    desk.commit()
    assert desk.values() == numbers(range(3))


def test_leftovers_of_half_done_work_are_removed(desk: LogDesk) -> None:
    for name in ("00000000000000000100.index", "trunkline.checkpoint.tmp"):
        desk.fs.open(desk.directory / name).append(b"leftover")
    desk.open()
    assert desk.fs.listdir(desk.directory) == ["00000000000000000000.log"]


def test_a_retry_is_recognised_after_kill_and_after_clean_shutdown(desk: LogDesk) -> None:
    def send(value: bytes, sequence: int) -> tuple[int, bool]:
        appended = desk.append(value, producer_id=7, producer_epoch=0, base_sequence=sequence)
        return appended.base_offset, appended.duplicate

    assert send(b"a", 0) == (0, False)
    desk.commit()
    desk.crash()
    assert send(b"a", 0) == (0, True)
    assert send(b"b", 1) == (1, False)
    desk.log.close()
    desk.crash()
    assert send(b"a", 0) == (0, True)
    assert send(b"b", 1) == (1, True)
    assert send(b"c", 2) == (2, False)


class CrashingLog(RuleBasedStateMachine):
    """Append, sync, crash with any torn prefix, restart: against a list of what was synced."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = LogDesk(segment_bytes=700, checkpoint_interval_bytes=400)
        self.synced: list[bytes] = []
        self.unsynced: list[bytes] = []
        self.count = 0

    @rule(records=st.integers(1, 3), size=st.sampled_from([0, 10, 300]))
    def append(self, records: int, size: int) -> None:
        values = []
        for _ in range(records):
            values.append(b"%d:" % self.count + b"x" * size)
            self.count += 1
        self.desk.append(*values)
        self.unsynced += values

    @rule()
    def commit(self) -> None:
        self.desk.commit()
        self.synced += self.unsynced
        self.unsynced = []

    @precondition(lambda self: self.unsynced)
    @rule(torn_bytes=st.integers(0, 1000))
    def crash(self, torn_bytes: int) -> None:
        log = self.desk.crash(torn_bytes=torn_bytes)
        kept = self.desk.values()
        written = self.synced + self.unsynced
        assert kept == written[: len(kept)]
        assert len(kept) >= len(self.synced)
        assert not log.recovery.damage
        # What a torn write left whole is in the log from now on.
        self.synced = written[: len(kept)]
        self.unsynced = []

    @rule()
    def restart(self) -> None:
        self.desk.log.close()
        self.synced += self.unsynced
        self.unsynced = []
        assert self.desk.open().recovery.scanned_bytes == 0

    @invariant()
    def exactly_the_synced_records_are_readable(self) -> None:
        assert self.desk.values() == self.synced
        assert self.desk.log.high_watermark == len(self.synced)
        assert self.desk.log.log_end_offset == len(self.synced) + len(self.unsynced)


TestCrashingLog = CrashingLog.TestCase
TestCrashingLog.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_report_names_the_directory() -> None:
    report = RecoveryReport(directory=Path("/data/t-0"), truncated_bytes=5)
    assert report.lines()[0].startswith("/data/t-0: ")
