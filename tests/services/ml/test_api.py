"""The registry over HTTP: who acts is the token's subject."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient
from prometheus_client import generate_latest

from trunkline.services.app import Context
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.services.ml.app import build


@pytest.fixture
def client_of(context: Context) -> Callable[..., TestClient]:
    """`client_of("ben")`: a client of acme's ben."""
    key = Ed25519PrivateKey.generate()
    service = build(context)
    assert service.router is not None
    app = new_api(
        "ml-service",
        [service.router()],
        store=context.store,
        verifier=Verifier(key.public_key()),
        title="ML Service",
    )

    def client(subject: str, tenant: str = "acme", scopes: Sequence[str] = ("models:write",)) -> TestClient:
        lifetime = timedelta(hours=1)
        now = datetime.now(UTC)
        token = issue(key, tenant=tenant, subject=subject, scopes=scopes, now=now, lifetime=lifetime)
        return TestClient(app, headers={"authorization": f"Bearer {token}"})

    return client


def test_a_version_goes_from_registration_to_its_users(
    client_of: Callable[..., TestClient], context: Context
) -> None:
    ana, ben = client_of("ana"), client_of("ben")
    assert ana.post("/v1/models", json={"model": "churn", "owner_id": "ana"}).status_code == 201
    new = {"source_uri": "s3://m", "metrics": {"auc": 0.9}}
    for _ in range(2):
        made = ana.post("/v1/models/churn/versions", json=new, headers={"idempotency-key": "k"})
        assert (made.status_code, made.json()["version"]) == (201, 1)
    place = "/v1/models/churn/versions/1"
    for stage in ("development", "staging", "production"):
        moved = ana.post(f"{place}/stage", json={"stage": stage}).json()
    assert (moved["stage"], moved["wanted"]) == ("staging", {"stage": "production", "asked_by": "ana"})
    assert ana.post(f"{place}/approval").status_code == 409
    assert ben.post(f"{place}/approval").json()["stage"] == "production"
    assert ana.put(f"{place}/deployments/eu", json={"replicas": 2}).json()["endpoints"] == {"eu": 2}
    assert ana.put("/v1/models/churn/aliases/champion", json={"version": 1}).json()["aliases"] == {
        "champion": 1
    }
    assert ana.put("/v1/models/churn/tags/team", json={"value": "growth"}).json()["tags"] == {
        "team": "growth"
    }
    drift = {"metric": "psi", "value": 0.3, "threshold": 0.2}
    assert ana.post(f"{place}/drift", json=drift).status_code == 204
    figures = generate_latest(context.registry).decode()
    assert 'trunkline_ml_versions{stage="production"} 1.0' in figures
    assert "trunkline_ml_deployments 1.0" in figures
    refused = ana.delete(place)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "churn 1 is deployed at eu; undeploy it first",
    )
    for path in (f"{place}/deployments/eu", "/v1/models/churn/aliases/champion", place, "/v1/models/churn"):
        assert ana.delete(path).status_code == 204
    assert ana.get("/v1/models").json() == {"items": [], "next": None}


def test_another_tenant_has_other_models(client_of: Callable[..., TestClient]) -> None:
    client_of("ana").post("/v1/models", json={"model": "churn"})
    other = client_of("eve", "globex")
    assert other.get("/v1/models").json()["items"] == []
    assert other.get("/v1/models/churn").status_code == 404
    assert other.post("/v1/models/churn/versions", json={"source_uri": "s3://m"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "models"),
        ("DELETE", "models/churn"),
        ("POST", "models/churn/versions"),
        ("DELETE", "models/churn/versions/1"),
        ("PUT", "models/churn/aliases/champion"),
        ("DELETE", "models/churn/aliases/champion"),
        ("PUT", "models/churn/tags/team"),
        ("DELETE", "models/churn/tags/team"),
        ("POST", "models/churn/versions/1/stage"),
        ("POST", "models/churn/versions/1/approval"),
        ("PUT", "models/churn/versions/1/deployments/eu"),
        ("DELETE", "models/churn/versions/1/deployments/eu"),
        ("POST", "models/churn/versions/1/drift"),
    ],
)
def test_only_who_has_the_scope_changes_anything(
    client_of: Callable[..., TestClient], method: str, path: str
) -> None:
    refused = client_of("ana", scopes=["pipelines:write"]).request(method, f"/v1/{path}")
    assert (refused.status_code, "models:write" in refused.json()["detail"]) == (403, True)


def test_what_the_path_names_and_is_not_there_is_a_404(client_of: Callable[..., TestClient]) -> None:
    ana = client_of("ana")
    ana.post("/v1/models", json={"model": "churn"})
    for path in ("models/fraud", "models/fraud/versions", "models/churn/versions/1"):
        assert ana.get(f"/v1/{path}").status_code == 404
    assert ana.put("/v1/models/fraud/aliases/champion", json={"version": 1}).status_code == 404
    in_body = ana.put("/v1/models/churn/aliases/champion", json={"version": 1})
    assert (in_body.status_code, in_body.json()["detail"]) == (422, "model 'churn' has no version 1")
    for path in ("models/fraud", "models/churn/aliases/champion", "models/churn/tags/team"):
        assert ana.delete(f"/v1/{path}").status_code == 404
    stage = ana.post("/v1/models/churn/versions/1/stage", json={"stage": "staging"})
    assert stage.status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("models", {"model": "a/b"}),
        ("models", {"model": "churn", "description": "a\0b"}),
        ("models", {}),
        ("models/churn/versions/99999999999999999999/stage", {"stage": "staging"}),
        ("models/churn/versions/1/stage", {"stage": "heaven"}),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    client_of: Callable[..., TestClient], path: str, body: dict[str, str]
) -> None:
    ana = client_of("ana")
    if path != "models":
        ana.post("/v1/models", json={"model": "churn"})
    refused = ana.post(f"/v1/{path}", json=body)
    assert refused.status_code == 422
    assert refused.json()["detail"]
