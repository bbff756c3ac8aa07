"""Who may record and see runs over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.services.ai.api import routes
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue

KEY = Ed25519PrivateKey.generate()
RUN = {"run_id": "r-1", "agent_id": "sql-analyst", "user_id": "u-17"}
TOKENS = {"provider": "in_house", "model": "m-70b", "input_tokens": 31, "output_tokens": 4, "key": "c-1"}


@pytest.fixture
def client(office: Any) -> Callable[..., TestClient]:
    api = new_api(
        "ai-service",
        [routes(office.context, office.desk)],
        store=office.store,
        verifier=Verifier(KEY.public_key()),
        title="AI Service",
    )

    def of(tenant: str, *scopes: str) -> TestClient:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        token = issue(KEY, tenant=tenant, subject="ana", scopes=scopes, now=now, lifetime=hour)
        return TestClient(api, headers={"authorization": f"Bearer {token}"})

    return of


def test_a_run_from_its_start_to_its_end(client: Any) -> None:
    writer = client("acme", "agents:write")
    assert writer.post("/v1/runs", json=RUN).status_code == 201
    tool = {"tool": "run_query", "outcome": "success", "duration_ms": 140}
    assert writer.post("/v1/runs/r-1/tools", json=tool).json()["tool_calls"] == 1
    for _ in range(2):
        assert writer.post("/v1/runs/r-1/tokens", json=TOKENS).json()["input_tokens"] == 31
    assert writer.post("/v1/runs/r-1/complete").json()["state"] == "completed"
    late = writer.post("/v1/runs/r-1/fail", json={"error_code": "x", "message": "y"})
    assert (late.status_code, late.json()["detail"]) == (409, "run r-1 has completed already")
    reader = client("acme")
    assert reader.get("/v1/runs/r-1").json()["output_tokens"] == 4
    assert [step["kind"] for step in reader.get("/v1/runs/r-1/steps").json()["items"]] == ["tool", "tokens"]
    assert reader.get("/v1/usage").json()[0]["model"] == "m-70b"


def test_runs_of_another_tenant_are_not_there(client: Any) -> None:
    client("acme", "agents:write").post("/v1/runs", json=RUN)
    other = client("globex", "agents:write")
    assert other.get("/v1/runs/r-1").status_code == 404
    assert other.get("/v1/runs").json()["items"] == []
    for path, body in (
        ("complete", None),
        ("fail", {"error_code": "x", "message": "y"}),
        ("tools", {"tool": "t", "outcome": "success", "duration_ms": 1}),
        ("tokens", TOKENS),
    ):
        assert other.post(f"/v1/runs/r-1/{path}", json=body).status_code == 404
    assert other.get("/v1/runs/r-1/steps").status_code == 404
    assert client("acme").post("/v1/runs/r-1/complete").status_code == 403


def test_runs_come_in_pages_the_newest_first(client: Any, office: Any) -> None:
    writer = client("acme", "agents:write")
    for number in range(5):
        writer.post("/v1/runs", json={**RUN, "run_id": f"r-{number}"})
        office.clock.pass_(timedelta(seconds=1))
    page = writer.get("/v1/runs?limit=3&state=running").json()
    rest = writer.get(f"/v1/runs?limit=3&cursor={page['next']}").json()
    assert [run["run_id"] for run in page["items"] + rest["items"]] == ["r-4", "r-3", "r-2", "r-1", "r-0"]
