"""What the service makes of events, repetitions and records that are no events."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import MetaData, create_engine, event, inspect, select, text

from trunkline.client.handler import Received, Refusal, RetryLater
from trunkline.codec import Record
from trunkline.services.audit.entry import Entry, unpack_headers
from trunkline.services.audit.queries import ENTRY_COLUMNS
from trunkline.services.audit.tables import AUDIT_EVENT, METADATA

Call = Callable[..., Received]


def entries(ledger: Any) -> list[Entry]:
    with ledger.store.read() as tx:
        rows = tx.execute(select(*ENTRY_COLUMNS).order_by(AUDIT_EVENT.c.tenant, AUDIT_EVENT.c.seq))
        return [Entry(*row) for row in rows]


def refuse(ledger: Any, record: Record, reason: str = "undecodable") -> None:
    with ledger.store.write() as tx:
        ledger.handler.refused(tx, record, Refusal(reason, "it is garbage"))


def test_an_entry_holds_the_record_as_received_and_what_is_searched_by(ledger: Any, api_call: Call) -> None:
    received = api_call(3)
    ledger.record([received])
    (entry,) = entries(ledger)
    assert (entry.tenant, entry.seq, entry.id, entry.source) == ("acme", 0, "call-3", "/tests")
    assert (entry.actor_type, entry.actor_id, entry.action) == ("user", "ana", "s3:GetObject")
    assert (entry.resource_type, entry.resource_id, entry.outcome) == ("bucket", "bucket-3", "success")
    assert (entry.key, entry.body) == (received.record.key, received.record.value)
    assert unpack_headers(entry.headers) == received.record.headers
    assert (entry.topic, entry.partition, entry.offset) == ("security.audit.events", 0, 3)
    assert entry.correlation_id == "request-1"


def test_each_tenant_counts_its_own_entries_in_the_order_of_arrival(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n, tenant="ab"[n % 2]) for n in range(7)])
    ledger.record([api_call(7, tenant="a")])
    assert [(entry.tenant, entry.seq, entry.id) for entry in entries(ledger)] == [
        ("a", 0, "call-0"),
        ("a", 1, "call-2"),
        ("a", 2, "call-4"),
        ("a", 3, "call-6"),
        ("a", 4, "call-7"),
        ("b", 0, "call-1"),
        ("b", 1, "call-3"),
        ("b", 2, "call-5"),
    ]


def test_the_same_event_again_adds_no_entry(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1), api_call(2)])
    ledger.record([api_call(2), api_call(3), api_call(1)])
    assert [entry.id for entry in entries(ledger)] == ["call-1", "call-2", "call-3"]
    assert ledger.verify().ok


def test_the_same_id_with_other_content_is_kept_as_a_conflict(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1)])
    for _ in range(2):
        ledger.record([api_call(1, actor="mallory")])
    first, conflict = entries(ledger)
    assert (first.tenant, first.actor_id) == ("acme", "ana")
    assert (conflict.tenant, conflict.type) == ("system", "audit.id_conflict")
    assert conflict.body is not None
    assert b"mallory" in conflict.body
    assert ledger.verify().ok


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe garbage"])
def test_a_refused_record_is_kept_raw_under_the_tenant_system_and_once(
    ledger: Any, value: bytes | None
) -> None:
    record = Record("ml.model.events", 2, 41, 1_700_000_000_123, None, value, (("x", None), ("x", b"\xff")))
    refuse(ledger, record)
    refuse(ledger, record)
    (entry,) = entries(ledger)
    assert (entry.tenant, entry.type, entry.action) == ("system", "audit.undecodable", "audit.undecodable")
    assert (entry.key, entry.body, unpack_headers(entry.headers)) == (None, value, record.headers)
    assert entry.note == "undecodable: it is garbage"
    assert entry.resource_id == "ml.model.events/2/41"
    assert entry.time_us == 1_700_000_000_123_000
    assert ledger.verify().ok


def test_an_id_conflict_that_the_runtime_found_is_named_so(ledger: Any, api_call: Call) -> None:
    refuse(ledger, api_call(1).record, "id_conflict")
    assert [entry.type for entry in entries(ledger)] == ["audit.id_conflict"]


def test_other_content_at_the_place_of_a_refused_record_is_kept_too(ledger: Any) -> None:
    """A topic that was created anew begins at offset 0 again."""
    for value in (b"one", b"other"):
        refuse(ledger, Record("ml.model.events", 0, 0, -1, None, value, ()))
    assert [entry.body for entry in entries(ledger)] == [b"one", b"other"]


def test_a_batch_that_rolls_back_leaves_nothing(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(0)])

    class CrashError(Exception):
        pass

    def crash_after_effect() -> None:
        with ledger.store.write() as tx:
            ledger.handler.handle(tx, [api_call(1)])
            raise CrashError

    with pytest.raises(CrashError):
        crash_after_effect()
    assert ledger.verify().entries == 1
    ledger.record([api_call(1), api_call(2)])
    report = ledger.verify()
    assert (report.ok, report.entries) == (True, 3)


def test_a_damaged_tree_holds_events_back_and_skips_none(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(0)])
    with ledger.store.write() as tx:
        tx.exec_driver_sql("UPDATE audit_tile SET hashes = zeroblob(5)")
    with pytest.raises(RetryLater, match="the tree of one of acme is damaged"):
        ledger.record([api_call(1)])
    assert [entry.id for entry in entries(ledger)] == ["call-0"]


def test_two_ledgers_of_the_same_events_have_different_leaves_and_the_same_records(
    ledger: Any, api_call: Call
) -> None:
    """Salts are random: equal bodies cannot be recognised by their commitments."""
    same = api_call(1)
    twin = Received(same.record, msgspec.structs.replace(same.event, id="twin"))
    ledger.record([same, twin])
    one, other = entries(ledger)
    assert one.body == other.body
    assert one.commitment != other.commitment
    assert one.salt != other.salt


def test_the_migration_creates_the_tables_that_the_code_declares(ledger: Any) -> None:
    def shape(url: str) -> dict[str, object]:
        inspector = inspect(create_engine(url))
        return {
            table: (
                [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in inspector.get_columns(table)
                ],
                inspector.get_pk_constraint(table)["constrained_columns"],
                sorted(
                    (index["name"], tuple(index["column_names"])) for index in inspector.get_indexes(table)
                ),
                sorted(
                    (unique["name"], tuple(unique["column_names"]))
                    for unique in inspector.get_unique_constraints(table)
                ),
            )
            for table in METADATA.tables
        }

    declared = f"sqlite:///{ledger.path.parent / 'declared.db'}"
    METADATA.create_all(create_engine(declared))
    assert shape(f"sqlite:///{ledger.path}") == shape(declared)
    assert isinstance(METADATA, MetaData)


def test_the_tables_refuse_a_value_of_another_type(ledger: Any) -> None:
    with ledger.store.read() as tx:
        tables = tx.execute(
            text("SELECT name, strict FROM pragma_table_list WHERE name LIKE 'audit\\_%' ESCAPE '\\'")
        )
        strict = {name: bool(is_strict) for name, is_strict in tables}
    assert all(strict[name] for name in ("audit_event", "audit_head", "audit_tile"))


def test_looking_for_known_events_and_tiles_never_scans_a_table(ledger: Any, api_call: Call) -> None:
    """SQLite scans for `(a, b) IN (...)`: each batch would cost more than the one before it."""
    ledger.record([api_call(n, tenant=f"t{n % 4}") for n in range(100)])
    reads: list[tuple[str, Any]] = []

    def note_reads(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if "SELECT" in statement and "INSERT" not in statement:
            reads.append((statement, values))

    with ledger.store.write() as tx:
        event.listen(tx, "before_cursor_execute", note_reads)
        ledger.handler.handle(tx, [api_call(n, tenant=f"t{n % 4}") for n in range(50, 150)])
    tables = {table for statement, _ in reads for table in METADATA.tables if f"{table}." in statement}
    assert tables == {"audit_event", "audit_head", "audit_tile"}
    with ledger.store.read() as tx:
        for statement, values in reads:
            plan = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
            assert not any("SCAN audit_" in step for step in plan), (statement, plan)
