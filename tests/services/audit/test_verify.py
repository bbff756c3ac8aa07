"""Nothing in a ledger can be changed without `verify` saying what and where, and it never cries wolf."""

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from trunkline.client.errors import StoreIncompatible
from trunkline.client.handler import Received
from trunkline.errors import InvalidInput
from trunkline.services.audit.entry import Entry, entry_commitment
from trunkline.services.audit.ledger import append as ledger_append
from trunkline.services.audit.note_file import split_notes
from trunkline.services.audit.queries import ENTRY_COLUMNS
from trunkline.services.audit.tables import AUDIT_EVENT, AUDIT_HEAD, AUDIT_TILE
from trunkline.services.audit.verify import verify_store

Call = Callable[..., Received]
Database = sqlite3.Connection

COLUMNS = [column.name for column in AUDIT_EVENT.c if column.name != "row_id"]


def open_raw(ledger: Any) -> Database:
    """The database as somebody sees it who means it no good."""
    connection = sqlite3.connect(ledger.path, isolation_level=None)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    return connection


@pytest.fixture(scope="module")
def template(
    tmp_path_factory: pytest.TempPathFactory, new_ledger: Callable[[Path], Any], api_call: Call
) -> Path:
    """Three tenants, 700 entries, several checkpoints, a tree of more than one tile."""
    directory = tmp_path_factory.mktemp("template")
    ledger = new_ledger(directory)
    for start in range(0, 700, 100):
        tenants = ("acme", "acme", "globex", "Initech")
        ledger.record([api_call(n, tenant=tenants[n % 4]) for n in range(start, start + 100)])
        ledger.checkpoint()
    ledger.store.close()
    return directory


@pytest.fixture
def filled(template: Path, tmp_path: Path, new_ledger: Callable[[Path], Any]) -> Iterator[Any]:
    """A copy of the template that a test may spoil."""
    ledger = new_ledger(shutil.copytree(template, tmp_path / "copy"))
    yield ledger
    ledger.store.close()


def problems(ledger: Any) -> set[tuple[str, str, int | None]]:
    return {(found.tenant, found.problem, found.seq) for found in ledger.verify().findings}


def test_an_untouched_ledger_verifies_and_is_covered_by_its_checkpoints(filled: Any) -> None:
    report = filled.verify()
    assert report.ok, report.findings
    assert report.entries == 700
    assert {(ledger.tenant, ledger.entries, ledger.covered) for ledger in report.tenants} == {
        ("acme", 350, 350),
        ("globex", 175, 175),
        ("Initech", 175, 175),
    }


def test_entries_that_are_not_signed_yet_are_no_finding(filled: Any, api_call: Call) -> None:
    filled.record([api_call(1000)])
    report = filled.verify("acme")
    assert report.ok
    assert [(ledger.entries, ledger.covered) for ledger in report.tenants] == [(351, 350)]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_change_in_any_column_names_the_row(filled: Any, column: str) -> None:
    database = open_raw(filled)
    kind, value = database.execute(
        f'SELECT typeof("{column}"), "{column}" FROM audit_event WHERE tenant = ? AND seq = 123', ("acme",)
    ).fetchone()
    changed = {"integer": lambda: value + 100_000, "text": lambda: value + "x", "blob": lambda: value + b"x"}
    new = changed.get(kind, lambda: b"x" if column in {"key", "body"} else "x")()
    database.execute(f'UPDATE audit_event SET "{column}" = ? WHERE tenant = ? AND seq = 123', (new, "acme"))
    report = filled.verify()
    assert not report.ok
    places = {(found.tenant, found.seq) for found in report.findings}
    assert ("acme", 123) in places
    if column not in {
        "tenant",
        "seq",
    }:  # Which concern two places: where the row was, and where it says it is.
        assert places == {("acme", 123)}
        assert {found.event_id for found in report.findings} <= {"call-245", "call-245x"}


def test_a_text_that_is_no_text_any_more_names_the_row(filled: Any) -> None:
    open_raw(filled).execute(
        "UPDATE audit_event SET actor_id = CAST(x'ff' AS TEXT) WHERE tenant = 'acme' AND seq = 123"
    )
    assert problems(filled) == {("acme", "changed", 123)}


def test_a_removed_row_is_named(filled: Any) -> None:
    open_raw(filled).execute("DELETE FROM audit_event WHERE tenant = 'acme' AND seq = 123")
    assert problems(filled) == {("acme", "missing", 123)}


def test_a_row_put_at_the_end_is_named(filled: Any) -> None:
    columns = ", ".join(f'"{name}"' for name in COLUMNS if name not in {"seq", "id"})
    open_raw(filled).execute(
        f"INSERT INTO audit_event (seq, id, {columns}) SELECT 350, 'forged', {columns} FROM audit_event "
        "WHERE tenant = 'acme' AND seq = 123"
    )
    assert problems(filled) == {("acme", "inserted", 350)}


def test_swapped_rows_are_both_named(filled: Any) -> None:
    database = open_raw(filled)
    for old, new in ((123, -1), (200, 123), (-1, 200)):
        database.execute("UPDATE audit_event SET seq = ? WHERE tenant = 'acme' AND seq = ?", (new, old))
    assert problems(filled) == {("acme", "changed", 123), ("acme", "changed", 200)}


def test_rows_cut_off_at_the_end_are_named_by_the_tree(filled: Any) -> None:
    open_raw(filled).execute("DELETE FROM audit_event WHERE tenant = 'acme' AND seq >= 300")
    assert problems(filled) == {("acme", "missing", 300)}


def test_a_ledger_rolled_back_whole_is_found_by_its_checkpoints(filled: Any, api_call: Call) -> None:
    before = filled.path.with_suffix(".before")
    with sqlite3.connect(before) as copy:
        open_raw(filled).backup(copy)
    filled.record([api_call(n) for n in range(1000, 1020)])
    filled.checkpoint()
    sqlite3.connect(before).backup(open_raw(filled))
    assert problems(filled) == {("acme", "truncated", 350)}


def test_a_tenant_wiped_whole_is_found_by_its_checkpoints(filled: Any) -> None:
    database = open_raw(filled)
    for table in ("audit_event", "audit_head", "audit_tile"):
        database.execute(f"DELETE FROM {table} WHERE tenant = 'globex'")
    assert problems(filled) == {("globex", "truncated", 0)}


def test_a_ledger_rewritten_with_a_fitting_tree_is_found_by_its_checkpoints(filled: Any) -> None:
    """A forger with the program itself: the database fits together, only the signed past does not fit."""
    with filled.store.write() as tx:
        entries = [
            Entry(*row) for row in tx.execute(select(*ENTRY_COLUMNS).where(AUDIT_EVENT.c.tenant == "acme"))
        ]
        for table in (AUDIT_EVENT, AUDIT_HEAD, AUDIT_TILE):
            tx.execute(table.delete().where(table.c.tenant == "acme"))
        forged = msgspec.structs.replace(entries[123], actor_id="nobody")
        entries[123] = msgspec.structs.replace(forged, commitment=entry_commitment(forged))
        ledger_append(tx, entries, now_us=1)
    # 50 entries of acme were signed at a time: the first checkpoint that does not fit is the one at 150.
    assert problems(filled) == {("acme", "rewritten", 100)}


def test_a_bent_tree_is_found(filled: Any) -> None:
    database = open_raw(filled)
    database.execute("UPDATE audit_tile SET hashes = zeroblob(32) WHERE tenant = 'acme' AND level = 1")
    assert problems(filled) == {("acme", "tree", 0)}
    database.execute("DELETE FROM audit_tile WHERE tenant = 'acme'")
    assert problems(filled) == {("acme", "tree", 0), ("acme", "tree", 256), ("acme", "tree", None)}


def test_a_row_and_its_tile_removed_together_are_found(filled: Any) -> None:
    database = open_raw(filled)
    database.execute("DELETE FROM audit_event WHERE tenant = 'acme' AND seq = 123")
    database.execute("DELETE FROM audit_tile WHERE tenant = 'acme' AND level = 0 AND tile = 0")
    assert problems(filled) == {("acme", "missing", 123), ("acme", "tree", 0)}


@pytest.mark.parametrize("change", ["size = size + 1", "size = size - 1", "root = zeroblob(32)"])
def test_a_bent_head_is_found(filled: Any, change: str) -> None:
    open_raw(filled).execute(f"UPDATE audit_head SET {change} WHERE tenant = 'acme'")
    assert problems(filled) == {("acme", "head", None)}


def test_a_removed_head_is_found(filled: Any) -> None:
    open_raw(filled).execute("DELETE FROM audit_head WHERE tenant = 'acme'")
    assert problems(filled) == {("acme", "head", None)}


def test_changed_removed_and_swapped_checkpoints_are_found(filled: Any) -> None:
    path = filled.files.path("acme")
    whole = path.read_bytes()
    notes = split_notes(whole)[0]
    assert len(notes) == 7

    def kinds_with(kept: list[bytes]) -> set[str]:
        path.write_bytes(b"".join(note + b"\n" for note in kept))
        return {found.problem for found in filled.verify("acme").findings}

    assert kinds_with(notes) == set()
    assert kinds_with([*notes[:2], notes[2].replace(b"time 2", b"time 1"), *notes[3:]]) == {
        "checkpoint-signature",
        "checkpoint-chain",
    }
    assert kinds_with([*notes[:2], *notes[3:]]) == {"checkpoint-chain"}
    assert kinds_with(notes[1:]) == {"checkpoint-chain"}
    assert kinds_with([notes[1], notes[0], *notes[2:]]) == {"checkpoint-chain"}


def test_the_newest_checkpoints_or_a_whole_file_removed_are_found(filled: Any) -> None:
    path = filled.files.path("acme")
    whole = path.read_bytes()
    notes = split_notes(whole)[0]
    for kept in range(len(notes)):
        path.write_bytes(b"".join(note + b"\n" for note in notes[:kept]))
        assert problems(filled) == {("acme", "checkpoint-missing", None)}
    path.unlink()
    assert problems(filled) == {("acme", "checkpoint-missing", None)}


def test_a_tenant_wiped_with_its_checkpoints_is_found_by_the_register(filled: Any) -> None:
    database = open_raw(filled)
    for table in ("audit_event", "audit_head", "audit_tile"):
        database.execute(f"DELETE FROM {table} WHERE tenant = 'globex'")
    filled.files.path("globex").unlink()
    assert problems(filled) == {("globex", "checkpoint-missing", None)}


def test_a_register_that_was_cut_is_found_by_the_checkpoints_of_the_other_tenants(filled: Any) -> None:
    register = filled.files.register.path
    notes = split_notes(register.read_bytes())[0]
    assert len(notes) == 7
    filled.files.path("globex").unlink()
    for kept in range(len(notes) - 1):
        register.write_bytes(b"".join(note + b"\n" for note in notes[:kept]))
        found = {(tenant, problem) for tenant, problem, _ in problems(filled)}
        assert found >= {("acme", "checkpoint-unregistered"), ("Initech", "checkpoint-unregistered")}
    register.unlink()
    assert len(problems(filled)) == 2


def test_a_changed_or_reordered_register_is_found(filled: Any) -> None:
    register = filled.files.register.path
    whole = register.read_bytes()
    notes = split_notes(whole)[0]
    for bent in (
        whole.replace(b"time 2", b"time 1"),
        b"".join(note + b"\n" for note in (notes[1], notes[0], *notes[2:])),
        b"".join(note + b"\n" for note in notes[1:]),
        whole + bytes(5_000),
    ):
        register.write_bytes(bent)
        assert problems(filled) == {("*", "register", None)}


def test_an_old_ledger_that_nothing_signed_speaks_of_is_a_finding(filled: Any) -> None:
    shutil.rmtree(filled.files.directory)
    assert filled.verify().ok  # The entries are younger than what a service may take to sign them.
    in_an_hour = time.time_ns() // 1000 + 3_600_000_000
    report = verify_store(filled.store, filled.files, filled.signer.verifier, now_us=lambda: in_an_hour)
    assert {(found.tenant, found.problem) for found in report.findings} == {
        ("acme", "unsigned"),
        ("globex", "unsigned"),
        ("Initech", "unsigned"),
    }


def test_a_checkpoint_of_another_tenant_does_not_count(filled: Any) -> None:
    filled.files.path("acme").write_bytes(filled.files.path("globex").read_bytes())
    assert {found.problem for found in filled.verify("acme").findings} == {
        "checkpoint-signature",
        "checkpoint-missing",
    }


def test_a_checkpoint_file_that_ends_in_garbage_is_found(filled: Any) -> None:
    path = filled.files.path("acme")
    path.write_bytes(path.read_bytes() + bytes(5_000))
    assert {found.problem for found in filled.verify("acme").findings} == {"checkpoint-signature"}


def test_a_tenant_without_a_trace_is_refused(filled: Any) -> None:
    with pytest.raises(InvalidInput, match="nobody: nothing of it is in the ledger"):
        filled.verify("nobody")


def test_a_checkpoint_left_unfinished_by_a_crash_is_no_finding(filled: Any, api_call: Call) -> None:
    register = filled.files.register.path
    before = register.read_bytes()
    filled.record([api_call(1000)])
    filled.checkpoint()
    register.write_bytes(before)
    path = filled.files.path("acme")
    for cut in (0, 1, 2, 40, 140):
        path.write_bytes(path.read_bytes()[: -cut or None])
        assert filled.verify().ok


def test_findings_are_bounded_and_counted(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n) for n in range(1200)])
    open_raw(ledger).execute("UPDATE audit_event SET outcome = 'denied'")
    report = ledger.verify()
    assert (report.finding_count, len(report.findings)) == (1200, 1000)


def flip_byte(database: Database, chance: random.Random) -> None:
    absent = {"causation_id", "note"}
    column = chance.choice([name for name in COLUMNS if name not in {"tenant", "seq", *absent}])
    row, value = database.execute(
        f'SELECT row_id, "{column}" FROM audit_event WHERE length(CAST("{column}" AS BLOB)) > 0 '
        "ORDER BY row_id LIMIT 1 OFFSET ?",
        (chance.randrange(100),),
    ).fetchone()
    if isinstance(value, int):
        changed: object = value ^ (1 << chance.randrange(40))
    else:
        raw = bytearray(value.encode() if isinstance(value, str) else value)
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(7)
        changed = raw.decode(errors="replace") if isinstance(value, str) else bytes(raw)
    try:
        database.execute(f'UPDATE audit_event SET "{column}" = ? WHERE row_id = ?', (changed, row))
    except sqlite3.IntegrityError:
        flip_byte(database, chance)  # The id of another entry came out, which the database itself refuses.


def delete_row(database: Database, chance: random.Random) -> None:
    database.execute("DELETE FROM audit_event WHERE row_id = ?", (chance.randint(1, 100),))


def insert_row(database: Database, chance: random.Random) -> None:
    columns = ", ".join(f'"{name}"' for name in Entry.__struct_fields__ if name not in {"seq", "id"})
    database.execute(
        f"INSERT INTO audit_event (seq, id, {columns}) "
        f"SELECT (SELECT max(seq) FROM audit_event) + ?, 'forged', {columns} "
        "FROM audit_event WHERE row_id = ?",
        (chance.choice([1, 1, 2, 10**12]), chance.randint(1, 100)),
    )


def swap_rows(database: Database, chance: random.Random) -> None:
    one, other = chance.sample(range(1, 101), 2)
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    rows = {
        row: database.execute(f"SELECT {columns} FROM audit_event WHERE row_id = ?", (row,)).fetchone()
        for row in (one, other)
    }
    database.execute("DELETE FROM audit_event WHERE row_id IN (?, ?)", (one, other))
    place = COLUMNS.index("seq")
    for row, source in ((one, other), (other, one)):
        values = list(rows[source])
        values[place] = rows[row][place]
        marks = ", ".join("?" * len(values))
        database.execute(f"INSERT INTO audit_event (row_id, {columns}) VALUES ({row}, {marks})", values)


def truncate(database: Database, chance: random.Random) -> None:
    database.execute("DELETE FROM audit_event WHERE row_id > ?", (100 - chance.randint(1, 50),))


@pytest.mark.parametrize("mutate", [flip_byte, delete_row, insert_row, swap_rows, truncate])
def test_every_random_mutation_is_found_and_its_undoing_is_not(
    ledger: Any, api_call: Call, mutate: Callable[[Database, random.Random], None]
) -> None:
    ledger.record([api_call(n) for n in range(100)])
    ledger.checkpoint()
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    database = open_raw(ledger)
    original = sqlite3.connect(":memory:")
    database.backup(original)
    for number in range(25):
        mutate(database, chance)
        assert not ledger.verify().ok, f"{mutate.__name__} {number} with seed {seed} went unnoticed"
        original.backup(database)
        assert ledger.verify().ok, f"false alarm after {mutate.__name__} {number} with seed {seed}"


def test_a_bent_database_file_gives_findings_and_never_a_crash(filled: Any) -> None:
    filled.store.close()
    with closing(open_raw(filled)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    whole = filled.path.read_bytes()
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    outcomes: set[str] = set()
    for _ in range(40):
        bent = bytearray(whole)
        for _ in range(3):
            bent[chance.randrange(100, len(bent))] ^= 1 << chance.randrange(8)
        filled.path.write_bytes(bent)
        try:
            outcomes.add("ok" if filled.verify().ok else "found")
        except StoreIncompatible:
            outcomes.add("refused")
        filled.store.close()
    assert "found" in outcomes, seed
