"""A proof convinces with the public key alone, and nothing in it can be changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trunkline.client.handler import Received
from trunkline.errors import InvalidInput, TrunklineError
from trunkline.services.audit.note import load_or_create_signer
from trunkline.services.audit.proof import (
    BadProof,
    InclusionProof,
    NotCovered,
    check_proof,
    prove,
    read_proof,
)
from trunkline.services.audit.queries import find

Call = Callable[..., Received]


@pytest.fixture
def filled(ledger: Any, api_call: Call) -> Any:
    ledger.record([api_call(n) for n in range(300)])
    ledger.checkpoint()
    return ledger


def proof_of(ledger: Any, event_id: str) -> InclusionProof:
    with ledger.store.read() as tx:
        return prove(tx, find(tx, event_id)[0], newest=ledger.files.newest("acme"))


@pytest.mark.parametrize("number", [0, 1, 255, 256, 299])
def test_a_proof_survives_its_json_and_names_its_checkpoint(filled: Any, number: int) -> None:
    content = msgspec.json.encode(proof_of(filled, f"call-{number}"))
    checkpoint = check_proof(read_proof(content, "proof.json"), filled.signer.verifier)
    assert (checkpoint.tenant, checkpoint.size) == ("acme", 300)


def test_an_entry_without_a_checkpoint_cannot_be_proved_yet(filled: Any, api_call: Call) -> None:
    filled.record([api_call(300)])
    with pytest.raises(NotCovered, match="not under a checkpoint yet"):
        proof_of(filled, "call-300")
    with filled.store.read() as tx, pytest.raises(NotCovered):
        prove(tx, find(tx, "call-0")[0], newest=None)


def test_a_damaged_tree_gives_no_proof(filled: Any) -> None:
    with filled.store.write() as tx:
        tx.exec_driver_sql("DELETE FROM audit_tile WHERE level = 0 AND tile = 1")
    with pytest.raises(TrunklineError, match="is damaged"):
        proof_of(filled, "call-0")


def test_nothing_in_a_proof_can_be_changed(filled: Any, tmp_path: Path) -> None:
    proof = proof_of(filled, "call-123")
    other = proof_of(filled, "call-124")
    replace = msgspec.structs.replace
    forgeries = [
        replace(proof, entry=replace(proof.entry, actor_id="nobody")),
        replace(proof, entry=replace(proof.entry, note="never happened")),
        replace(proof, entry=replace(proof.entry, seq=124)),
        replace(proof, entry=replace(proof.entry, seq=10**6)),
        replace(proof, entry=other.entry),
        replace(proof, entry=other.entry, leaf=other.leaf),
        replace(proof, leaf=other.leaf),
        replace(proof, path=other.path),
        replace(proof, path=proof.path[:-1]),
        replace(proof, checkpoint=proof.checkpoint.replace("\n300\n", "\n301\n")),
        replace(proof, checkpoint="junk"),
    ]
    for forgery in forgeries:
        with pytest.raises(BadProof):
            check_proof(forgery, filled.signer.verifier)
    with pytest.raises(BadProof, match="cannot be trusted"):
        check_proof(proof, load_or_create_signer(tmp_path / "other.pem").verifier)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\xff", b'{"entry": 1}'])
def test_a_file_that_is_no_proof_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"p\.json: not a proof"):
        read_proof(content, "p.json")
