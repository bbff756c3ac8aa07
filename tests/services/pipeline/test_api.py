"""The pipeline service over HTTP."""

import msgspec

from trunkline.testing.lineage import run_event
from trunkline.testing.service_desk import ServiceDesk

WRITE = ("pipelines:write",)
STEPS = ("progress", "complete", "fail", "abort")


def test_a_run_is_moved_and_shown(service: ServiceDesk) -> None:
    client = service.client(scopes=WRITE)
    run_id = client.post("/v1/runs", json={"job": "dbt.orders", "namespace": "w"}).json()["run_id"]
    assert client.post(f"/v1/runs/{run_id}/progress", json={"percent": 5}).json()["state"] == "running"
    refused = client.post(f"/v1/runs/{run_id}/progress", json={"percent": 101})
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert client.post(f"/v1/runs/{run_id}/complete", json={"rows_written": 7}).status_code == 200
    conflict = client.post(f"/v1/runs/{run_id}/fail", json={"message": "no"})
    assert conflict.status_code == 409
    assert "is completed and cannot fail" in conflict.json()["detail"]
    shown = client.get(f"/v1/runs/{run_id}").json()
    assert [step["state"] for step in shown["steps"]] == ["started", "running", "completed"]


def test_runs_come_in_pages_and_only_ones_own(service: ServiceDesk) -> None:
    client = service.client(scopes=WRITE)
    for number in range(5):
        client.post("/v1/runs", json={"job": "j", "namespace": "n", "run_id": f"r-{number}"})
    first = client.get("/v1/runs?limit=3").json()
    second = client.get(f"/v1/runs?limit=3&cursor={first['next']}").json()
    assert [run["run_id"] for run in first["items"] + second["items"]] == ["r-4", "r-3", "r-2", "r-1", "r-0"]
    assert second["next"] is None
    assert service.client(tenant="globex").get("/v1/runs").json()["items"] == []
    assert client.get("/v1/runs?state=failed").json()["items"] == []


def test_openlineage_is_taken_as_its_client_sends_it(service: ServiceDesk) -> None:
    client = service.client(scopes=WRITE)
    sent = msgspec.json.encode(run_event("START"))
    answer = client.post("/v1/lineage", content=sent, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (201, {"state": "started", "published": True})
    assert client.post("/v1/lineage", content=sent).json()["published"] is False
    assert client.post("/v1/lineage", content=b"{}").status_code == 422
    assert client.post("/v1/lineage", content=b" " * 5_000_000).status_code == 413
    assert len(service.published()) == 1


def test_only_who_has_the_scope_moves_anything(service: ServiceDesk) -> None:
    reader = service.client(scopes=["models:write"])
    for path in ("lineage", "runs", *(f"runs/r/{step}" for step in STEPS)):
        refused = reader.post(f"/v1/{path}", content=b"{}")
        assert (refused.status_code, "pipelines:write" in refused.json()["detail"]) == (403, True)
    assert reader.get("/v1/runs").status_code == 200


def test_a_run_that_there_is_not_is_a_404(service: ServiceDesk) -> None:
    client = service.client(scopes=WRITE)
    assert client.get("/v1/runs/none").status_code == 404
    for step in STEPS:
        refused = client.post(f"/v1/runs/none/{step}", json={"message": "no"})
        assert (refused.status_code, "there is none" in refused.json()["detail"]) == (404, True)


def test_nobody_moves_anything_without_a_token(service: ServiceDesk) -> None:
    client = service.client()
    del client.headers["authorization"]
    assert client.post("/v1/runs", json={"job": "j", "namespace": "n"}).status_code == 401
    assert client.post("/v1/lineage", content=b"{}").status_code == 401
