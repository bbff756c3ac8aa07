"""What the end of a tenant leaves of its ledger: nothing to read, and everything to verify."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, select, text, update

from trunkline.client.handler import Received, Refusal
from trunkline.client.store import migrate
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput
from trunkline.services.audit import holds
from trunkline.services.audit.entry import ERASED, Entry, is_erased
from trunkline.services.audit.erasure import LedgerEraser
from trunkline.services.audit.export import export_lines, verify_export
from trunkline.services.audit.handler import LateHandler
from trunkline.services.audit.proof import check_proof, prove
from trunkline.services.audit.queries import ENTRY_COLUMNS, Search, search
from trunkline.services.audit.tables import AUDIT_EVENT
from trunkline.services.kit.ending import ENDING, End, ended
from trunkline.services.kit.ending.ends import Erasure, end_tenant, erase
from trunkline.services.kit.ending.handler import EndingHandler

Call = Callable[..., Received]
NOW = datetime(2026, 5, 1, tzinfo=UTC)
END = End(tenant="acme", deletion_id="deletion-1", deleted_at=NOW)


@pytest.fixture
def ledger(store_url: str, tmp_path: Path, new_ledger: Callable[..., Any]) -> Iterator[Any]:
    opened = new_ledger(tmp_path, store_url)
    migrate(opened.store)
    migrate(opened.store, ENDING)
    yield opened
    opened.store.close()


def erasure(ledger: Any) -> Erasure:
    return Erasure(ledger.store, LedgerEraser(), publishes=False)


def end(ledger: Any) -> None:
    with ledger.store.write() as tx:
        assert end_tenant(tx, END, erasure(ledger), now=NOW)


def entries(ledger: Any, tenant: str) -> list[Entry]:
    with ledger.store.read() as tx:
        rows = tx.execute(
            select(*ENTRY_COLUMNS).where(AUDIT_EVENT.c.tenant == tenant).order_by(AUDIT_EVENT.c.seq)
        )
        return [Entry(*row) for row in rows]


def found(ledger: Any, **wanted: Any) -> list[str]:
    with ledger.store.read() as tx:
        return [entry.id for entry in search(tx, Search(**wanted)).entries]


def garbage(key: bytes, offset: int) -> Record:
    return Record("query.execution.events", 0, offset, 1_700_000_000_000, key, b"Ada's secret", ())


def refuse(ledger: Any, handler: Any, record: Record) -> None:
    with ledger.store.write() as tx:
        handler.refused(tx, record, Refusal("undecodable", "it is garbage"))


def behind(ledger: Any) -> EndingHandler:
    return EndingHandler(ledger.handler, LateHandler(), erasure(ledger), wall=lambda: NOW)


def test_entries_stay_and_verify_and_say_nothing_any_more(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n, tenant=("acme", "globex")[n % 2]) for n in range(20)])
    refuse(ledger, ledger.handler, garbage(b"acme", 1))
    refuse(ledger, ledger.handler, garbage(b"globex", 2))
    ledger.checkpoint()
    end(ledger)
    ledger.checkpoint()
    *erased, record = entries(ledger, "acme")
    assert len(erased) == 10
    assert all(is_erased(entry) for entry in erased)
    assert (record.type, record.key, is_erased(record)) == (ERASED, b"acme", False)
    assert [is_erased(entry) for entry in entries(ledger, "globex")] == [False] * 10
    assert [is_erased(entry) for entry in entries(ledger, "system")] == [True, False, False]
    report = ledger.verify()
    assert report.ok, report.findings
    assert {(one.tenant, one.entries, one.covered) for one in report.tenants} == {
        ("acme", 11, 11),
        ("globex", 10, 10),
        ("system", 3, 3),
    }


def test_a_search_finds_the_entries_by_their_envelope_only(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1), api_call(2, tenant="globex")])
    assert found(ledger, text="reports*") == ["call-2", "call-1"]
    end(ledger)
    assert found(ledger, text="reports*") == ["call-2"]
    assert found(ledger, actor="ana") == ["call-2"]
    assert "call-1" in found(ledger, tenant="acme")
    with ledger.store.read() as tx:
        (entry,) = [one for one in search(tx, Search(tenant="acme")).entries if one.id == "call-1"]
    assert (entry.erased, entry.data, entry.actor_id) == (True, None, None)


def test_the_bytes_are_gone_from_an_embedded_database(
    tmp_path: Path, new_ledger: Callable[..., Any], api_call: Call
) -> None:
    opened = new_ledger(tmp_path)
    migrate(opened.store)
    migrate(opened.store, ENDING)
    opened.record([api_call(n, actor="mallory-the-auditee") for n in range(300)])
    end(opened)
    with opened.store.write() as tx:
        tx.execute(delete(AUDIT_EVENT).where(AUDIT_EVENT.c.tenant == "nobody"))
    opened.store.close()
    kept = opened.path.read_bytes()
    assert b"mallory" not in kept
    assert b"call-299" in kept


def test_content_that_is_gone_without_a_record_of_it_is_a_finding(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n) for n in range(5)])
    end(ledger)
    with ledger.store.write() as tx:
        ledger.handler.handle(tx, [api_call(7, tenant="globex"), api_call(8, tenant="globex")])
        nothing = dict.fromkeys(("actor_type", "actor_id", "action", "resource_type", "body"))
        tx.execute(
            update(AUDIT_EVENT)
            .where(AUDIT_EVENT.c.tenant == "globex", AUDIT_EVENT.c.seq == 1)
            .values(**nothing, resource_id=None, outcome=None, salt=b"")
        )
    (finding,) = ledger.verify().findings
    assert (finding.tenant, finding.seq, finding.problem) == ("globex", 1, "changed")
    assert "no entry says that it was erased" in finding.detail


def test_content_put_back_into_an_erased_entry_is_a_finding(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1)])
    end(ledger)
    with ledger.store.write() as tx:
        tx.execute(update(AUDIT_EVENT).where(AUDIT_EVENT.c.id == "call-1").values(body=b"{}"))
    assert {(one.seq, one.problem) for one in ledger.verify().findings} == {(0, "changed")}


def test_what_arrives_after_the_end_is_recorded_without_its_content(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1)])
    end(ledger)
    handler = behind(ledger)
    for _ in range(2):
        with ledger.store.write() as tx:
            handler.handle(tx, [api_call(1), api_call(2), api_call(3, tenant="globex")])
        refuse(ledger, handler, garbage(b"acme", 4))
    assert [(one.id, is_erased(one)) for one in entries(ledger, "acme") if one.type != ERASED] == [
        ("call-1", True),
        ("call-2", True),
    ]
    assert [is_erased(entry) for entry in entries(ledger, "system")] == [False, True]
    assert [is_erased(entry) for entry in entries(ledger, "globex")] == [False]
    report = ledger.verify()
    assert report.ok, report.findings


def test_a_replay_from_the_beginning_brings_nothing_back(ledger: Any, api_call: Call) -> None:
    """The store is new: it has heard of the end before it reads the first event."""
    end(ledger)
    handler = behind(ledger)
    with ledger.store.write() as tx:
        handler.handle(tx, [api_call(n) for n in range(10)])
    assert all(is_erased(entry) for entry in entries(ledger, "acme") if entry.type != ERASED)
    assert found(ledger, text="reports*") == []
    assert ledger.verify().ok


def test_an_export_and_a_proof_of_erased_entries_verify(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(n) for n in range(5)])
    ledger.checkpoint()
    end(ledger)
    ledger.checkpoint()
    notes = ledger.files.notes("acme")
    with ledger.store.read() as tx:
        lines = list(export_lines(tx, tenant="acme"))
        proof = prove(tx, entries(ledger, "acme")[2], newest=notes[-1])
    assert verify_export(lines, notes, ledger.signer.verifier).ok
    assert check_proof(proof, ledger.signer.verifier).size == 6
    assert b"reports" not in b"".join(lines)
    missing = [line for line in lines if ERASED.encode() not in line]
    report = verify_export(missing, notes, ledger.signer.verifier)
    assert "changed" in {finding.problem for finding in report.findings}
    forged = msgspec.structs.replace(proof, entry=msgspec.structs.replace(proof.entry, source="/else"))
    with pytest.raises(Exception, match="not the one"):
        check_proof(forged, ledger.signer.verifier)


def test_a_legal_hold_keeps_everything_readable_until_its_release(ledger: Any, api_call: Call) -> None:
    ledger.record([api_call(1)])
    with ledger.store.write() as tx:
        holds.place(tx, "acme", reason="case 12/345", by="counsel", now=NOW)
        with pytest.raises(InvalidInput, match="held already, by counsel"):
            holds.place(tx, "acme", reason="another", by="else", now=NOW)
    end(ledger)
    with ledger.store.write() as tx:
        behind(ledger).handle(tx, [api_call(2)])
    assert not any(is_erased(entry) for entry in entries(ledger, "acme"))
    with ledger.store.read() as tx:
        assert ended(tx)[0].waits_for == "a legal hold, placed by counsel: case 12/345"
        assert [hold.reason for hold in holds.holds(tx)] == ["case 12/345"]
    with ledger.store.write() as tx:
        assert not erase(tx, "acme", erasure(ledger), now=NOW)
        holds.release(tx, "acme", reason="closed", by="counsel", now=NOW)
        assert erase(tx, "acme", erasure(ledger), now=NOW), ended(tx)
        with pytest.raises(InvalidInput, match="nothing is left to hold"):
            holds.place(tx, "acme", reason="too late", by="counsel", now=NOW)
        with pytest.raises(InvalidInput, match="not held"):
            holds.release(tx, "acme", reason="twice", by="counsel", now=NOW)
    assert {entry.type for entry in entries(ledger, "acme") if not is_erased(entry)} == {ERASED}
    assert ledger.verify().ok


def test_a_ledger_of_before_the_holds_is_upgraded_and_verifies(
    tmp_path: Path, new_ledger: Callable[..., Any], api_call: Call
) -> None:
    old = new_ledger(tmp_path)
    old.record([api_call(n) for n in range(3)])
    old.checkpoint()
    with old.store.write() as tx:
        tx.execute(text("DROP TABLE audit_hold"))
        tx.execute(text("UPDATE audit_schema_version SET version_num = '0002'"))
    old.store.close()
    upgraded = new_ledger(tmp_path)
    migrate(upgraded.store)
    migrate(upgraded.store, ENDING)
    end(upgraded)
    assert upgraded.verify().ok
    upgraded.store.close()
