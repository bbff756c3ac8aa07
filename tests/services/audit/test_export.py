"""An export verifies away from the store, and shows every change."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.client.handler import Received
from trunkline.errors import InvalidInput
from trunkline.services.audit.export import export_lines, verify_export
from trunkline.services.audit.note import load_or_create_signer
from trunkline.services.audit.verify import Report

Call = Callable[..., Received]


@pytest.fixture
def filled(ledger: Any, api_call: Call) -> Any:
    for start in range(0, 300, 100):
        ledger.record([api_call(n, tenant="acme" if n % 3 else "globex") for n in range(start, start + 100)])
        ledger.checkpoint()
    return ledger


def lines_of(ledger: Any, tenant: str | None = None) -> list[bytes]:
    with ledger.store.read() as tx:
        return list(export_lines(tx, tenant=tenant))


def notes_of(ledger: Any) -> list[bytes]:
    return [note for tenant in ledger.files.tenants() for note in ledger.files.notes(tenant)]


def verified(ledger: Any, lines: list[bytes]) -> Report:
    return verify_export(lines, notes_of(ledger), ledger.signer.verifier)


def test_an_export_of_all_ledgers_verifies_against_their_checkpoints(filled: Any) -> None:
    report = verified(filled, lines_of(filled))
    assert report.ok, report.findings
    assert {(ledger.tenant, ledger.entries, ledger.covered) for ledger in report.tenants} == {
        ("acme", 200, 200),
        ("globex", 100, 100),
    }


def test_one_tenant_s_export_is_only_of_that_tenant(filled: Any) -> None:
    lines = lines_of(filled, "globex")
    assert len(lines) == 101
    assert msgspec.json.decode(lines[0]) == {
        "format": "trunkline-audit-export-1",
        "tenant": "globex",
        "size": 100,
    }
    assert verified(filled, lines).ok


def test_entries_after_the_last_checkpoint_are_no_finding(filled: Any, api_call: Call) -> None:
    filled.record([api_call(1000)])
    report = verified(filled, lines_of(filled, "acme"))
    assert report.ok
    assert [(ledger.entries, ledger.covered) for ledger in report.tenants] == [(201, 200)]


def changed(line: bytes, **fields: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(line) | fields)


def test_a_changed_entry_is_named(filled: Any) -> None:
    lines = lines_of(filled, "acme")
    lines[51] = changed(lines[51], actor_id="nobody")
    findings = verified(filled, lines).findings
    assert [(found.problem, found.seq) for found in findings] == [("changed", 50)]


def test_an_entry_changed_with_its_commitment_is_found_by_the_checkpoint(filled: Any) -> None:
    lines = lines_of(filled, "acme")
    lines[101] = changed(lines[101], note="nothing to see")
    findings = verified(filled, lines).findings
    assert [(found.problem, found.seq) for found in findings] == [("rewritten", 66)]


@pytest.mark.parametrize(
    "mutate",
    [
        lambda lines: lines[:60] + lines[61:],
        lambda lines: lines[:150],
        lambda lines: [*lines, changed(lines[5], seq=200)],
        lambda lines: [*lines[:5], lines[5], *lines[5:]],
        lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
        lambda lines: [changed(lines[0], size=150), *lines[1:151]],
        lambda lines: [*lines[:9], changed(lines[9], tenant="globex"), *lines[10:]],
        lambda lines: [changed(lines[0], tenant="globex"), *lines[1:]],
        lambda lines: lines[:1],
        lambda lines: [changed(lines[0], size=10**15), *lines[1:]],
    ],
)
def test_entries_removed_added_or_moved_are_found(
    filled: Any, mutate: Callable[[list[bytes]], list[bytes]]
) -> None:
    assert not verified(filled, mutate(lines_of(filled, "acme"))).ok


def test_random_flips_in_the_file_are_found_or_the_file_is_refused(filled: Any) -> None:
    lines = lines_of(filled, "acme")
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    for _ in range(60):
        number = chance.randrange(1, len(lines))
        line = bytearray(lines[number])
        at = chance.randrange(len(line))
        line[at] ^= 1 << chance.randrange(7)
        bent = [*lines[:number], bytes(line), *lines[number + 1 :]]
        try:
            found = not verified(filled, bent).ok
        except InvalidInput:
            found = True
        same = msgspec.json.decode(lines[number]) == _decoded(bytes(line))
        assert found or same, f"byte {at} of line {number + 1}, seed {seed}"


def _decoded(line: bytes) -> object:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def test_another_key_does_not_convince(filled: Any, tmp_path: Path) -> None:
    other = load_or_create_signer(tmp_path / "other.pem").verifier
    report = verify_export(lines_of(filled, "acme"), notes_of(filled), other)
    assert {found.problem for found in report.findings} == {"checkpoint-signature", "unsigned"}


def test_an_export_without_any_checkpoint_of_its_tenant_is_a_finding(filled: Any) -> None:
    notes = filled.files.notes("globex")
    report = verify_export(lines_of(filled, "acme"), notes, filled.signer.verifier)
    assert [found.problem for found in report.findings] == ["unsigned"]


@pytest.mark.parametrize("lines", [[], [b"\n"], [b"{}\n"], [b"junk\n"], [b'{"format":"other"}\n']])
def test_other_files_are_refused(filled: Any, lines: list[bytes]) -> None:
    with pytest.raises(InvalidInput):
        verified(filled, lines)


def test_an_entry_before_any_header_is_refused(filled: Any) -> None:
    with pytest.raises(InvalidInput, match="line 1: an entry before any header"):
        verified(filled, lines_of(filled, "acme")[1:])
