"""Checkpoints follow the committed heads, and a rewritten ledger is never signed."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trunkline.client.handler import Received
from trunkline.errors import TrunklineError, Unavailable
from trunkline.services.audit.checkpoint import open_checkpoint
from trunkline.services.audit.checkpointer import Checkpointer, CheckpointThread, LedgerRewritten

Call = Callable[..., Received]


def sizes(ledger: Any, tenant: str = "acme") -> list[int]:
    notes = ledger.files.notes(tenant)
    return [open_checkpoint(note, ledger.signer.verifier, tenant=tenant).size for note in notes]


def test_only_ledgers_that_have_grown_are_signed(ledger: Any, api_call: Call) -> None:
    checkpointer = Checkpointer(ledger.store, ledger.files, ledger.signer)
    assert checkpointer.catch_up() == 0
    ledger.record([api_call(n, tenant=tenant) for n in range(3) for tenant in ("acme", "globex")])
    assert checkpointer.catch_up() == 2
    assert checkpointer.catch_up() == 0
    ledger.record([api_call(3)])
    assert checkpointer.catch_up() == 1
    assert (sizes(ledger), sizes(ledger, "globex")) == ([3, 4], [3])
    assert ledger.verify().ok


def test_another_instance_signs_nothing_twice(ledger: Any, api_call: Call) -> None:
    one = Checkpointer(ledger.store, ledger.files, ledger.signer)
    other = Checkpointer(ledger.store, ledger.files, ledger.signer)
    for number in range(4):
        ledger.record([api_call(number)])
        assert [one.catch_up(), other.catch_up()] == [1, 0]
        one, other = other, one
    assert sizes(ledger) == [1, 2, 3, 4]
    assert ledger.verify().ok


def test_after_a_crash_between_commit_and_checkpoint_the_next_start_catches_up(
    ledger: Any, api_call: Call
) -> None:
    ledger.record([api_call(0)])
    ledger.checkpoint()
    ledger.record([api_call(1), api_call(2)])
    assert ledger.checkpoint() == 1
    assert sizes(ledger) == [1, 3]


def test_a_checkpoint_left_unfinished_is_replaced(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(0)])
    ledger.checkpoint()
    path = ledger.files.path("acme")
    path.write_bytes(path.read_bytes()[:-30])
    ledger.files.register.path.unlink()  # A checkpoint is entered only after it was synced.
    assert ledger.checkpoint() == 1
    assert sizes(ledger) == [1]
    assert ledger.verify().ok


def test_a_checkpoint_that_a_crash_left_out_of_the_register_is_entered_by_the_next_start(
    ledger: Any, api_call: Call
) -> None:
    ledger.record([api_call(0)])
    ledger.checkpoint()
    before = ledger.files.register.path.read_bytes()
    ledger.record([api_call(1)])
    ledger.checkpoint()
    ledger.files.register.path.write_bytes(before + b"trunkline/audit-reg")
    assert ledger.verify().ok
    ledger.record([api_call(2)])
    assert ledger.checkpoint() == 1
    assert sizes(ledger) == [1, 2, 3]
    assert ledger.verify().ok


def test_a_disk_that_refuses_a_checkpoint_leaves_no_other_tenant_out_of_the_register(
    ledger: Any, api_call: Call
) -> None:
    checkpointer = Checkpointer(ledger.store, ledger.files, ledger.signer)
    in_the_way = ledger.files.path("globex")
    in_the_way.mkdir(parents=True)
    for number in range(3):
        ledger.record([api_call(number, tenant=tenant) for tenant in ("acme", "globex")])
        with pytest.raises(IsADirectoryError):
            checkpointer.catch_up()
    in_the_way.rmdir()
    assert checkpointer.catch_up() == 1
    assert (sizes(ledger), sizes(ledger, "globex")) == ([1, 2, 3], [3])
    assert ledger.verify().ok


def test_nothing_is_signed_again_once_its_checkpoints_are_gone(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n, tenant=tenant) for n in range(3) for tenant in ("acme", "globex")])
    running = Checkpointer(ledger.store, ledger.files, ledger.signer)
    running.catch_up()
    ledger.files.path("acme").unlink()
    ledger.record([api_call(3)])
    for checkpointer in (running, Checkpointer(ledger.store, ledger.files, ledger.signer)):
        with pytest.raises(LedgerRewritten, match=r"acme\.txt: its checkpoints are gone"):
            checkpointer.catch_up()
    assert sizes(ledger) == []


@pytest.mark.parametrize(
    ("kept", "said"), [(0, "was cut"), (-1, "was cut"), (None, "note 2 of the register cannot be trusted")]
)
def test_nothing_is_signed_beside_a_register_that_was_cut_or_changed(
    ledger: Any, api_call: Call, kept: int | None, said: str
) -> None:
    running = Checkpointer(ledger.store, ledger.files, ledger.signer)
    for number in range(3):
        ledger.record([api_call(number)])
        running.catch_up()
    path = ledger.files.register.path
    whole = path.read_bytes()
    if kept is None:
        path.write_bytes(whole.replace(b"time 2", b"time 1"))
        running = Checkpointer(ledger.store, ledger.files, ledger.signer)
    else:
        path.write_bytes(whole[:kept])
    ledger.record([api_call(4)])
    with pytest.raises(LedgerRewritten, match=said):
        running.catch_up()
    assert sizes(ledger) == [1, 2, 3]


@pytest.mark.parametrize(
    ("tampering", "said"),
    [
        ("UPDATE audit_tile SET hashes = zeroblob(length(hashes))", "not those signed"),
        ("DELETE FROM audit_tile", "not those signed"),
        ("UPDATE audit_head SET size = 2", "has 2 entries, 3 were signed"),
        ("DELETE FROM audit_head", "but no entries"),
    ],
)
def test_a_rewritten_ledger_is_not_signed(ledger: Any, api_call: Call, tampering: str, said: str) -> None:
    ledger.record([api_call(n) for n in range(3)])
    ledger.checkpoint()
    with sqlite3.connect(ledger.path) as database:
        database.execute(tampering)
    database.close()
    with pytest.raises(LedgerRewritten, match=said):
        ledger.checkpoint()
    assert sizes(ledger) == [3]


def test_a_last_checkpoint_that_cannot_be_trusted_stops_the_signing(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(0)])
    ledger.checkpoint()
    path = ledger.files.path("acme")
    path.write_bytes(path.read_bytes().replace(b"time 2", b"time 1"))
    with pytest.raises(LedgerRewritten, match="cannot be trusted"):
        ledger.checkpoint()


def test_the_thread_signs_while_it_runs_and_once_more_at_its_end(ledger: Any, api_call: Call) -> None:
    failures: list[TrunklineError] = []
    thread = CheckpointThread(
        Checkpointer(ledger.store, ledger.files, ledger.signer), on_failure=failures.append
    )
    ledger.record([api_call(0)])
    thread.start()
    assert sizes(ledger) == [1]
    ledger.record([api_call(1)])
    thread.stop()
    thread.stop()
    assert sizes(ledger) == [1, 2]
    assert failures == []


def test_the_thread_reports_a_rewritten_ledger_once_and_ends(ledger: Any, api_call: Call) -> None:
    failed = threading.Event()
    failures: list[TrunklineError] = []

    def fail(error: TrunklineError) -> None:
        failures.append(error)
        failed.set()

    thread = CheckpointThread(Checkpointer(ledger.store, ledger.files, ledger.signer), on_failure=fail)
    ledger.record([api_call(0)])
    thread.start()
    with ledger.store.write() as tx:
        tx.exec_driver_sql("UPDATE audit_tile SET hashes = zeroblob(length(hashes))")
        tx.exec_driver_sql("UPDATE audit_head SET root = zeroblob(32), size = 0, updated_us = updated_us + 1")
    assert failed.wait(10)
    thread.stop()
    assert [type(error) for error in failures] == [LedgerRewritten]


def test_the_thread_starts_once_its_directory_can_be_written(ledger: Any, api_call: Call) -> None:
    thread = CheckpointThread(
        Checkpointer(ledger.store, ledger.files, ledger.signer), on_failure=lambda _error: None
    )
    ledger.files.directory.write_text("in the way")
    with pytest.raises(Unavailable, match="checkpoints cannot be written"):
        thread.start()
    ledger.files.directory.unlink()
    thread.start()
    ledger.record([api_call(0)])
    thread.stop()
    assert sizes(ledger) == [1]


def test_a_damaged_database_ends_the_thread_with_an_error(ledger: Any, api_call: Call) -> None:
    failed = threading.Event()
    failures: list[TrunklineError] = []

    def fail(error: TrunklineError) -> None:
        failures.append(error)
        failed.set()

    thread = CheckpointThread(Checkpointer(ledger.store, ledger.files, ledger.signer), on_failure=fail)
    thread.start()
    with ledger.store.write() as tx:
        tx.exec_driver_sql("DROP TABLE audit_head")
    assert failed.wait(10)
    thread.stop()
    assert "no such table" in str(failures[0])


def test_a_thread_that_was_never_started_stops(ledger: Any) -> None:
    CheckpointThread(
        Checkpointer(ledger.store, ledger.files, ledger.signer), on_failure=lambda _error: None
    ).stop()
