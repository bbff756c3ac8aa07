"""Signed notes: ours and those of the format's reference implementation."""

from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from trunkline.errors import InvalidInput
from trunkline.services.audit.note import (
    BadNote,
    Signer,
    Verifier,
    load_or_create_signer,
    load_verifier,
    public_key_path,
)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return load_or_create_signer(tmp_path / "keys" / "signing-key.pem")


def test_the_reference_implementation_s_example_verifies() -> None:
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6Ry"
        "yBwJnAM=\n"
    )
    raw = b64decode(vkey.split("+", 2)[2])[1:]
    verifier = Verifier(Ed25519PublicKey.from_public_bytes(raw))
    assert verifier.vkey("PeterNeumann") == vkey
    assert verifier.open(note.encode(), name="PeterNeumann").endswith("what your problem is.\n")


def test_a_note_opens_under_its_own_name_only(signer: Signer) -> None:
    note = signer.sign("first\nsecond\n", name="log/one")
    assert signer.verifier.open(note, name="log/one") == "first\nsecond\n"
    with pytest.raises(BadNote, match="no signature of log/two"):
        signer.verifier.open(note, name="log/two")


def test_signatures_of_witnesses_may_stand_beside_ours(signer: Signer, tmp_path: Path) -> None:
    note = signer.sign("text\n", name="log")
    witness = load_or_create_signer(tmp_path / "witness.pem").sign("text\n", name="witness")
    both = note + witness.rpartition(b"\n\n")[2]
    assert signer.verifier.open(both, name="log") == "text\n"


@pytest.mark.parametrize(
    ("old", "new"), [(b"first", b"First"), (b"\n\n", b"\n"), ("— ".encode(), b"- "), (b"first", b"\xff")]
)
def test_a_changed_note_does_not_open(signer: Signer, old: bytes, new: bytes) -> None:
    note = signer.sign("first\n", name="log")
    with pytest.raises(BadNote):
        signer.verifier.open(note.replace(old, new), name="log")


def test_no_cut_note_opens(signer: Signer) -> None:
    note = signer.sign("first\nsecond\n", name="log")
    for length in range(len(note)):
        with pytest.raises(BadNote):
            signer.verifier.open(note[:length], name="log")


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path, signer: Signer) -> None:
    path = tmp_path / "keys" / "signing-key.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    again = load_or_create_signer(path)
    assert again.verifier.raw == signer.verifier.raw == load_verifier(public_key_path(path)).raw
    assert sorted(file.name for file in path.parent.iterdir()) == ["signing-key.pem", "signing-key.pub"]


def test_a_missing_public_key_is_written_again(tmp_path: Path, signer: Signer) -> None:
    path = tmp_path / "keys" / "signing-key.pem"
    public_key_path(path).unlink()
    load_or_create_signer(path)
    assert load_verifier(public_key_path(path)).raw == signer.verifier.raw


def test_a_key_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="no signing key can be had there"):
        load_or_create_signer(tmp_path / "file" / "key.pem")


def test_files_that_are_no_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(InvalidInput, match=r"junk\.pem: not a private key"):
        load_or_create_signer(tmp_path / "junk.pem")
    with pytest.raises(InvalidInput, match=r"junk\.pem: not a public key"):
        load_verifier(tmp_path / "junk.pem")
    with pytest.raises(InvalidInput, match="cannot read the public key"):
        load_verifier(tmp_path / "absent.pub")
