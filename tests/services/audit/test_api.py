"""The ledger over HTTP: a caller sees its tenant's, and can check what it is told."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.client.handler import Received
from trunkline.client.store import migrate
from trunkline.services.audit.api import routes
from trunkline.services.audit.export import verify_export
from trunkline.services.audit.merkle import verify_consistency
from trunkline.services.audit.note_file import split_notes
from trunkline.services.audit.proof import check_proof, read_proof
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue


@pytest.fixture
def client(ledger: Any, api_call: Callable[..., Received]) -> Iterator[TestClient]:
    """Seven entries of acme under a checkpoint, one that is not, and one of globex."""
    migrate(ledger.store)
    key = Ed25519PrivateKey.generate()
    app = new_api(
        "audit-service",
        [routes(ledger.store, ledger.files, ledger.signer.verifier)],
        store=ledger.store,
        verifier=Verifier(key.public_key()),
        title="Audit Service",
    )
    ledger.record([api_call(number) for number in range(7)])
    ledger.checkpoint()
    ledger.record([api_call(7), api_call(8, tenant="globex")])
    lifetime = timedelta(hours=1)
    token = issue(key, tenant="acme", subject="u", scopes=[], now=datetime.now(UTC), lifetime=lifetime)
    with TestClient(app, headers={"authorization": f"Bearer {token}"}) as opened:
        yield opened


def test_a_search_pages_through_the_callers_entries_and_no_others(client: TestClient) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/entries?limit=3{cursor}").json()
        found += [entry["id"] for entry in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == [f"call-{number}" for number in reversed(range(8))]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("correlation=request-1", ["call-3", "call-2"]),
        ("resource=bucket-0", ["call-5", "call-0"]),
        ("text=reports-4", ["call-4"]),
        ("from=2026-01-02T03:04:11Z", ["call-7", "call-6"]),
        ("outcome=denied", []),
    ],
)
def test_conditions_narrow_it(client: TestClient, query: str, ids: list[str]) -> None:
    assert [entry["id"] for entry in client.get(f"/v1/entries?{query}").json()["items"]] == ids


@pytest.mark.parametrize("query", ["outcome=maybe", "limit=0", "from=yesterday", "cursor=x"])
def test_a_condition_that_cannot_be_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/v1/entries?{query}").status_code == 422


def test_a_proof_convinces_who_has_only_the_public_key(client: TestClient, ledger: Any) -> None:
    answer = client.get("/v1/proof/inclusion/call-3")
    proof = read_proof(answer.content, "answer")
    assert check_proof(proof, ledger.signer.verifier).size == 7
    assert proof.entry.id == "call-3"


@pytest.mark.parametrize(("event", "status"), [("call-7", 409), ("call-8", 404), ("nothing", 404)])
def test_what_cannot_be_proved_says_why(client: TestClient, event: str, status: int) -> None:
    assert client.get(f"/v1/proof/inclusion/{event}").status_code == status


def test_a_later_ledger_is_shown_to_begin_with_the_earlier_one(client: TestClient, ledger: Any) -> None:
    answer = client.get("/v1/proof/consistency?first=3&second=8").json()
    inclusion = client.get("/v1/proof/inclusion/call-0").json()
    assert inclusion["entry"]["seq"] == 0
    with ledger.store.read() as tx:
        from trunkline.services.audit.ledger import read_tile
        from trunkline.services.audit.merkle import range_root
        from trunkline.services.audit.tiles import tile_nodes

        nodes = tile_nodes(read_tile(tx, "acme"))
        old, new = range_root(nodes, 0, 3), range_root(nodes, 0, 8)
    path = [bytes.fromhex(node) for node in answer["path"]]
    assert verify_consistency(3, 8, old_root=old, root=new, proof=path)


def test_sizes_beyond_the_ledger_are_refused(client: TestClient) -> None:
    answer = client.get("/v1/proof/consistency?first=3&second=9")
    assert (answer.status_code, "has 8 entries" in answer.text) == (422, True)


def test_checkpoints_and_export_verify_together(client: TestClient, ledger: Any) -> None:
    ledger.checkpoint()
    notes, _ = split_notes(client.get("/v1/checkpoints").content)
    assert client.get("/v1/checkpoint").content == notes[-1]
    lines = client.get("/v1/export").content.splitlines(keepends=True)
    report = verify_export(lines, notes, ledger.signer.verifier)
    assert (report.ok, report.entries) == (True, 8)


def test_verification_names_what_is_wrong(client: TestClient, ledger: Any) -> None:
    from sqlalchemy import update

    from trunkline.services.audit.tables import AUDIT_EVENT

    assert client.get("/v1/verify").json()["ok"] is True
    with ledger.store.write() as tx:
        tx.execute(
            update(AUDIT_EVENT)
            .where(AUDIT_EVENT.c.tenant == "acme", AUDIT_EVENT.c.seq == 2)
            .values(outcome="denied")
        )
    answer = client.get("/v1/verify").json()
    assert answer["ok"] is False
    assert {finding["seq"] for finding in answer["findings"]} >= {2}


def test_the_tail_begins_behind_what_is_there(ledger: Any, api_call: Callable[..., Received]) -> None:
    import asyncio

    from trunkline.services.audit.api import _tail

    ledger.record([api_call(0)])

    async def first_entry() -> str:
        lines = _tail(ledger.store, "acme")
        assert (await anext(lines)).startswith(":")
        ledger.record([api_call(1), api_call(2, tenant="globex")])
        return await anext(line async for line in lines if line.startswith("id:"))

    told = asyncio.run(asyncio.wait_for(first_entry(), 20))
    assert told.startswith("id: 1\nevent: entry\ndata: ")
    assert msgspec.json.decode(told.split("data: ")[1])["id"] == "call-1"
