"""The journal on a file system that forgets what was not synced."""

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.group.entries import Entry, GroupSaved, Offset, OffsetsCommitted
from trunkline.broker.group.journal import JOURNAL_NAME, MAGIC, Journal, JournalRefused
from trunkline.broker.group.offsets import DurableGroups
from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.fs import FsError, OsFs
from trunkline.broker.log.memory_fs import MemoryFs

DIRECTORY = Path("/data")


def commit(offset: int, *, group: str = "g", metadata: str = "") -> OffsetsCommitted:
    """One committed offset."""
    return OffsetsCommitted(group, (("t", 0, Offset(offset, -1, metadata, 0, UUID(int=1))),))


class Disk:
    """A journal, its state, and the power switch."""

    def __init__(self, *, compact_bytes_min: int = 1 << 20) -> None:
        self.fs = MemoryFs()
        self.fs.mkdir(DIRECTORY)
        self.fs.sync_dir(DIRECTORY)
        self.compact_bytes_min = compact_bytes_min
        self.start()

    def start(self) -> None:
        """Open the journal as a broker does."""
        self.state = DurableGroups()
        self.durable: list[Entry] = []
        self.journal = Journal(
            self.fs,
            DIRECTORY,
            snapshot=self.state.entries,
            on_durable=self.on_durable,
            compact_bytes_min=self.compact_bytes_min,
        )
        self.recovered = self.journal.recover()
        for entry in self.recovered.entries:
            self.state.apply(entry)

    def on_durable(self, entry: Entry) -> None:
        """Fold in what is on disk."""
        self.durable.append(entry)
        self.state.apply(entry)

    def sync(self) -> None:
        """What group commit does."""
        self.journal.advance(self.journal.sync())

    def lose_power(self, torn_bytes: int = 0) -> None:
        """Crash and start again."""
        self.fs.crash(torn_bytes=torn_bytes)
        self.start()

    def offset(self, group: str = "g") -> int | None:
        """The committed offset."""
        stored = self.state.offsets(group).get(("t", 0))
        return None if stored is None else stored.offset

    @property
    def path(self) -> Path:
        """The journal's file."""
        return DIRECTORY / JOURNAL_NAME


@pytest.fixture
def disk() -> Disk:
    """A journal on an empty disk."""
    return Disk()


def test_an_entry_counts_once_it_is_synced(disk: Disk) -> None:
    disk.journal.append(commit(1))
    assert disk.durable == []
    disk.sync()
    assert disk.durable == [commit(1)]


def test_a_sync_covers_only_what_was_appended_before_it(disk: Disk) -> None:
    disk.journal.append(commit(1))
    synced = disk.journal.sync()
    disk.journal.append(commit(2))
    disk.journal.advance(synced)
    assert disk.durable == [commit(1)]


def test_synced_entries_survive_a_crash_in_order(disk: Disk) -> None:
    entries: list[Entry] = [
        GroupSaved("g", 3, "consumer", "range", "m", (), 5),
        commit(1),
        commit(2, metadata="é"),
    ]
    for entry in entries:
        disk.journal.append(entry)
    disk.sync()
    disk.lose_power()
    assert list(disk.recovered.entries) == entries
    assert disk.recovered.reports == ()


@given(st.integers(0, 200))
def test_a_torn_tail_is_cut_off_and_reported_and_the_journal_goes_on(torn_bytes: int) -> None:
    disk = Disk()
    disk.journal.append(commit(1))
    disk.sync()
    synced = disk.fs.used_bytes()
    disk.journal.append(commit(2))
    disk.journal.append(commit(3))
    disk.lose_power(torn_bytes)
    whole = disk.offset()
    assert whole in {1, 2, 3}
    assert (disk.fs.used_bytes() == synced) == (whole == 1)
    disk.journal.append(commit(9))
    disk.sync()
    disk.lose_power()
    assert disk.offset() == 9
    assert disk.recovered.reports == ()


def test_a_torn_tail_is_named_in_the_report(disk: Disk) -> None:
    disk.journal.append(commit(1))
    disk.lose_power(5)
    assert disk.recovered.reports == (f"{disk.path}: cut off a torn tail of 5 bytes at {len(MAGIC)}",)


def test_damage_in_the_middle_is_kept_aside_and_both_sides_are_used(disk: Disk) -> None:
    disk.journal.append(commit(1, group="before"))
    start = disk.fs.used_bytes()
    disk.journal.append(commit(2, group="hit"))
    disk.journal.append(commit(3, group="after"))
    disk.sync()
    disk.fs.corrupt(disk.path, start + 20, b"\xff")
    damaged = disk.fs.read(disk.path)
    disk.lose_power()
    assert [disk.offset(group) for group in ("before", "hit", "after")] == [1, None, 3]
    assert "damaged at bytes" in disk.recovered.reports[0]
    assert disk.fs.read(disk.path.with_name(JOURNAL_NAME + ".damaged")) == damaged
    disk.lose_power()
    assert disk.recovered.reports == ()
    assert disk.offset("after") == 3


def test_damage_to_a_length_does_not_hide_what_follows(disk: Disk) -> None:
    start = disk.fs.used_bytes()
    disk.journal.append(commit(1))
    disk.journal.append(commit(2))
    disk.sync()
    disk.fs.corrupt(disk.path, start, b"\xff\xff\xff\x00")
    disk.lose_power()
    assert disk.offset() == 2


def test_a_file_of_another_format_is_refused_and_left_alone(disk: Disk) -> None:
    disk.fs.corrupt(disk.path, 0, b"somebody")
    with pytest.raises(JournalRefused, match="not a journal of this version; move it away"):
        disk.lose_power()
    content = disk.fs.read(disk.path)
    assert content is not None
    assert content.startswith(b"somebody")


def test_a_crash_during_creation_leaves_an_empty_journal(disk: Disk) -> None:
    disk.fs.remove(disk.path)
    torn = disk.fs.open(disk.path)
    torn.append(MAGIC[:4])
    torn.sync()
    disk.start()
    assert disk.recovered.entries == ()


def test_a_journal_that_has_grown_is_rewritten_and_loses_nothing() -> None:
    disk = Disk(compact_bytes_min=2_000)
    for offset in range(500):
        disk.journal.append(commit(offset, group=f"g{offset % 3}"))
        disk.sync()
    assert disk.fs.used_bytes() < 4_000
    disk.lose_power()
    assert [disk.offset(f"g{number}") for number in range(3)] == [498, 499, 497]


def test_restarts_do_not_let_the_journal_grow_without_end() -> None:
    disk = Disk(compact_bytes_min=2_000)
    for round_ in range(20):
        for offset in range(20):
            disk.journal.append(commit(20 * round_ + offset))
            disk.sync()
        disk.lose_power()
    assert disk.fs.used_bytes() < 4_000
    assert disk.offset() == 399


def test_what_is_appended_while_the_journal_is_rewritten_is_in_the_new_one() -> None:
    disk = Disk(compact_bytes_min=200)
    disk.journal.append(commit(1, metadata="x" * 200))
    disk.journal.append(commit(2))
    disk.journal.append(commit(3, group="late"))
    disk.sync()
    assert len(disk.durable) == 3
    disk.journal.append(commit(4, group="later"))
    disk.sync()
    disk.lose_power()
    assert [disk.offset(group) for group in ("g", "late", "later")] == [2, 3, 4]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 400), st.data())
def test_no_acknowledged_commit_is_lost_whenever_the_power_fails(
    groups: list[int], torn_bytes: int, data: st.DataObject
) -> None:
    disk = Disk(compact_bytes_min=300)
    acknowledged: dict[str, int] = {}
    for offset, number in enumerate(groups):
        disk.journal.append(commit(offset, group=f"g{number}"))
        if data.draw(st.booleans()):
            disk.sync()
            acknowledged |= {
                entry.group_id: entry.offsets[0][2].offset
                for entry in disk.durable
                if isinstance(entry, OffsetsCommitted)
            }
    disk.lose_power(torn_bytes)
    for group, offset in acknowledged.items():
        found = disk.offset(group)
        assert found is not None
        assert found >= offset


def test_without_room_for_a_second_copy_the_journal_goes_on_as_it_is() -> None:
    disk = Disk(compact_bytes_min=300)
    disk.journal.append(commit(1, metadata="x" * 300))
    disk.fs.capacity_bytes = disk.fs.used_bytes() + 100
    disk.sync()
    disk.journal.append(commit(2))
    disk.sync()
    disk.lose_power()
    assert disk.offset() == 2


def test_a_full_disk_refuses_an_entry_and_nothing_else(disk: Disk) -> None:
    disk.fs.capacity_bytes = disk.fs.used_bytes() + 10
    with pytest.raises(FsError, match="no space"):
        disk.journal.append(commit(1))
    disk.fs.capacity_bytes = float("inf")
    disk.journal.append(commit(2))
    disk.sync()
    disk.lose_power()
    assert disk.offset() == 2


def test_a_failed_sync_stops_the_journal_for_good(disk: Disk) -> None:
    disk.journal.append(commit(1))
    disk.fs.fail_sync = True
    with pytest.raises(FsError, match="input/output error"):
        disk.journal.sync()
    disk.fs.fail_sync = False
    with pytest.raises(LogStopped):
        disk.journal.sync()
    with pytest.raises(LogStopped):
        disk.journal.append(commit(2))


def test_a_journal_on_a_real_file_system_is_read_again(tmp_path: Path) -> None:
    state = DurableGroups()
    for expected in ((), (commit(1),)):
        journal = Journal(OsFs(), tmp_path, snapshot=state.entries, on_durable=state.apply)
        assert journal.recover().entries == expected
        journal.append(commit(1))
        journal.advance(journal.sync())
        journal.close()
