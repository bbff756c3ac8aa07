"""`trunkline.testing.torture.journal`: a publisher's account survives SIGKILL, and says where to go on."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.torture.journal import (
    DELIVERED,
    REJECTED,
    Entry,
    Intent,
    Journal,
    Settled,
    read,
    recover,
)


def intent(number: int, tenant: str = "a") -> Intent:
    return Intent(
        topic="t.t.t",
        tenant=tenant,
        source="/s",
        id=f"{tenant}-{number}",
        sequence=number,
        subject="steady",
        at=1.5,
    )


def delivered(number: int, tenant: str = "a") -> Settled:
    return Settled(id=f"{tenant}-{number}", outcome=DELIVERED, at=2.0, partition=1, offset=number)


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path)
    journal.write([intent(1), intent(2)])
    journal.write([delivered(1)])
    journal.close()
    assert read(path) == [intent(1), intent(2), delivered(1)]


def test_a_journal_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read(tmp_path / "journal") == []


@given(cut=st.integers(1, 60))
def test_a_torn_last_line_is_cut_away_and_written_over(tmp_path_factory: object, cut: int) -> None:
    path = Path(str(tmp_path_factory.mktemp("journal"))) / "journal"  # type: ignore[attr-defined]
    journal = Journal(path)
    journal.write([intent(1), intent(2)])
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    assert read(path) == [intent(1)]
    journal = Journal(path)
    journal.write([intent(3)])
    journal.close()
    assert read(path) == [intent(1), intent(3)]


def test_a_tenant_goes_on_behind_its_last_number_with_what_is_open_in_order() -> None:
    failed = Settled(id="a-3", outcome=REJECTED, at=2.0)
    entries: list[Entry] = [intent(1), intent(2), intent(3), delivered(1), failed, intent(2), intent(1, "b")]
    courses = recover(entries)
    assert courses["a"].sequence == 3
    assert [left.sequence for left in courses["a"].open] == [2, 3]
    assert courses["b"].open == [intent(1, "b")]
