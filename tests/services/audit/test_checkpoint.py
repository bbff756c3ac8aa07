"""Checkpoints: their text, their chain, and a file that survives a crash at any byte."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.services.audit.checkpoint import (
    FIRST,
    Checkpoint,
    CheckpointFiles,
    note_hash,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from trunkline.services.audit.note import BadNote, Signer, load_or_create_signer
from trunkline.services.audit.note_file import DamagedFile, split_notes

CHECKPOINT = Checkpoint(
    tenant="acme",
    size=3,
    root=bytes(range(32)),
    time=datetime(2026, 1, 31, 12, 0, tzinfo=UTC),
    previous=FIRST,
)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_or_create_signer(tmp_path / "key.pem")


def notes_of(signer: Signer, count: int) -> list[bytes]:
    notes: list[bytes] = []
    for size in range(1, count + 1):
        previous = note_hash(notes[-1]) if notes else FIRST
        checkpoint = Checkpoint("acme", size, bytes(32), CHECKPOINT.time, previous)
        notes.append(sign_checkpoint(checkpoint, signer))
    return notes


def test_the_text_is_a_tlog_checkpoint_with_time_and_chain_as_extensions() -> None:
    assert CHECKPOINT.text() == (
        "trunkline/audit/acme\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        "time 2026-01-31T12:00:00Z\nprev -\n"
    )
    assert parse_checkpoint(CHECKPOINT.text()) == CHECKPOINT


def test_a_signed_checkpoint_opens_for_its_tenant_only(signer: Signer) -> None:
    note = sign_checkpoint(CHECKPOINT, signer)
    assert open_checkpoint(note, signer.verifier, tenant="acme") == CHECKPOINT
    with pytest.raises(BadNote):
        open_checkpoint(note, signer.verifier, tenant="globex")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "other/log\n1\nAA==\ntime x\nprev -\n",
        "trunkline/audit/acme\n1\n",
        CHECKPOINT.text().replace("\n3\n", "\n-3\n"),
        CHECKPOINT.text().replace("\n3\n", "\nthree\n"),
        CHECKPOINT.text().replace("AAEC", "AA"),
        CHECKPOINT.text().replace("prev -", "next -"),
    ],
)
def test_other_texts_are_no_checkpoints(text: str) -> None:
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_notes_are_found_again_in_their_order(tmp_path: Path, signer: Signer) -> None:
    files = CheckpointFiles(tmp_path / "checkpoints")
    assert files.tenants() == []
    assert files.notes("acme") == []
    assert files.newest("acme") is None
    notes = notes_of(signer, 5)
    with files.locked():
        for note in notes:
            files.append("acme", note)
    assert files.tenants() == ["acme"]
    assert files.notes("acme") == notes
    assert files.newest("acme") == notes[-1]


def test_a_file_cut_at_any_byte_keeps_its_finished_notes_and_takes_new_ones(
    tmp_path: Path, signer: Signer
) -> None:
    files = CheckpointFiles(tmp_path)
    notes = notes_of(signer, 2)
    whole = b"".join(note + b"\n" for note in notes)
    path = files.path("acme")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        finished = split_notes(whole[:length])[0]
        assert finished == notes[: len(finished)]
        assert files.newest("acme") == (finished[-1] if finished else None)
        files.append("acme", notes[len(finished)])
        assert files.notes("acme") == notes[: len(finished) + 1]


def test_the_newest_note_is_found_at_the_end_of_a_large_file(tmp_path: Path, signer: Signer) -> None:
    files = CheckpointFiles(tmp_path)
    notes = notes_of(signer, 1000)
    files.path("acme").write_bytes(b"".join(note + b"\n" for note in notes))
    assert files.path("acme").stat().st_size > 4 * 65_536
    assert files.newest("acme") == notes[-1]
    files.append("acme", notes[0])
    assert files.notes("acme") == [*notes, notes[0]]


def test_an_end_that_no_crash_leaves_is_not_cut_off(tmp_path: Path, signer: Signer) -> None:
    files = CheckpointFiles(tmp_path)
    note = notes_of(signer, 1)[0]
    for content in (note + b"\n" + bytes(5_000), bytes(100_000)):
        files.path("acme").write_bytes(content)
        with pytest.raises(DamagedFile, match=r"acme\.txt: its end is damaged"):
            files.append("acme", note)
        assert files.path("acme").read_bytes() == content


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"))
def test_every_tenant_has_a_file_of_its_own_even_where_case_is_folded(tenant: str) -> None:
    files = CheckpointFiles(Path("checkpoints"))
    name = files.path(tenant).name
    assert name == name.replace("/", "")
    assert files.path(tenant.swapcase()).name.lower() != name.lower() or tenant == tenant.swapcase()


def test_the_tenant_is_read_back_from_the_file_s_name(tmp_path: Path, signer: Signer) -> None:
    files = CheckpointFiles(tmp_path)
    for tenant in ("Acme", "acme", "a.b-c_9"):
        files.append(tenant, notes_of(signer, 1)[0])
    assert files.tenants() == ["Acme", "a.b-c_9", "acme"]
