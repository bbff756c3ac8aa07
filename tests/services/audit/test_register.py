"""The register: its text, its chain, and what it adds up to."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.services.audit.checkpoint import note_hash
from trunkline.services.audit.note import BadNote, Signer, load_or_create_signer
from trunkline.services.audit.note_file import NOTE_BYTES_MAX
from trunkline.services.audit.register import LINES_MAX, Register

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return load_or_create_signer(tmp_path_factory.mktemp("key") / "key.pem")


def test_the_text_names_time_predecessor_and_checkpoints(signer: Signer) -> None:
    (note,) = Register().sign({"acme": note_hash(b"note")}, signer, now=NOW)
    assert signer.verifier.open(note, name="trunkline/audit-register").splitlines() == [
        "trunkline/audit-register",
        "time 2026-01-31T12:00:00Z",
        "prev -",
        f"{note_hash(b'note')} acme",
    ]


def test_the_newest_checkpoint_of_each_tenant_counts(signer: Signer) -> None:
    writer, reader = Register(), Register()
    for entered in ({"acme": "1", "globex": "2"}, {"acme": "3"}, {}):
        notes = writer.sign(entered, signer, now=NOW)
        writer.extend(notes, signer.verifier)
        reader.extend(notes, signer.verifier)
    assert writer.newest == reader.newest == {"acme": "3", "globex": "2"}


def test_many_tenants_make_several_bounded_notes(signer: Signer) -> None:
    entered = {f"{number:064}": note_hash(b"%d" % number) for number in range(2 * LINES_MAX + 1)}
    register = Register()
    notes = register.sign(entered, signer, now=NOW)
    assert len(notes) == 3
    assert max(map(len, notes)) < NOTE_BYTES_MAX
    register.extend(notes, signer.verifier)
    assert register.newest == entered


def test_notes_removed_reordered_changed_or_of_another_key_are_refused(
    signer: Signer, tmp_path: Path
) -> None:
    register = Register()
    notes: list[bytes] = []
    for number in range(3):
        notes += (new := register.sign({"acme": str(number)}, signer, now=NOW))
        register.extend(new, signer.verifier)
    bent = (
        notes[1:],
        notes[::-1],
        [notes[0], notes[2]],
        [notes[0].replace(b"0 acme", b"9 acme"), *notes[1:]],
    )
    for wrong in (*bent, [*notes, b"x" * 5_000], [*notes[:2], notes[2].replace(b"2 acme", b"9 acme")]):
        with pytest.raises(BadNote, match="of the register cannot be trusted"):
            Register().extend(wrong, signer.verifier)
    with pytest.raises(BadNote, match="note 3 of the register"):
        Register().extend(notes, load_or_create_signer(tmp_path / "key.pem").verifier)
