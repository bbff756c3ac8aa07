"""Who may see and change tenants over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.services.tenant.api import routes

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def client(office: Any) -> Callable[..., TestClient]:
    api = new_api(
        "tenant-service",
        [routes(office.context, office.desk)],
        store=office.context.store,
        verifier=Verifier(KEY.public_key()),
        title="Tenant Service",
    )

    def of(tenant: str, *scopes: str) -> TestClient:
        token = issue(
            KEY,
            tenant=tenant,
            subject="ana",
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(hours=1),
        )
        return TestClient(api, headers={"authorization": f"Bearer {token}"})

    return of


def test_the_operator_takes_a_tenant_through_its_life(client: Any, office: Any) -> None:
    operator = client("system", "operator")
    new = {"tenant": "acme", "tier": "starter", "region": "eu"}
    created = operator.post("/v1/tenants", json=new)
    assert (created.status_code, created.json()["tenant"]["state"]) == (201, "pending")
    assert operator.post("/v1/tenants/acme/activate", json={}).json()["changed"]
    suspended = operator.post("/v1/tenants/acme/suspend", json={"reason": "abuse", "expected": 2}).json()
    assert (suspended["tenant"]["state"], suspended["tenant"]["version"]) == ("suspended", 3)
    refused = operator.post("/v1/tenants/acme/change-tier", json={"tier": "free"})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert "it is suspended" in refused.json()["detail"]
    operator.post("/v1/tenants/acme/reactivate", json={})
    assert operator.post("/v1/tenants/acme/change-tier", json={"tier": "free"}).json()["changed"]
    operator.post("/v1/tenants/acme/schedule-deletion", json={"grace_days": 1})
    gone = operator.post("/v1/tenants/acme/delete", json={"now": True}).json()
    assert gone["tenant"]["state"] == "deleted"
    changes = operator.get("/v1/tenants/acme/changes?limit=3").json()
    rest = operator.get(f"/v1/tenants/acme/changes?cursor={changes['next']}").json()
    assert [one["version"] for one in changes["items"] + rest["items"]] == list(range(1, 8))
    assert {one["actor_id"] for one in rest["items"]} == {"ana"}
    assert office.told()[-1] == "tenant.deleted.v1"


def test_a_body_of_which_nothing_is_needed_may_be_left_out(client: Any, office: Any) -> None:
    office.create("zeta")
    operator = client("system", "operator")
    for step, state in (
        ("activate", "active"),
        ("schedule-deletion", "pending_deletion"),
        ("reactivate", "active"),
        ("schedule-deletion", "pending_deletion"),
    ):
        answer = operator.post(f"/v1/tenants/zeta/{step}")
        assert (answer.status_code, answer.json()["tenant"]["state"]) == (200, state)
    assert operator.post("/v1/tenants/zeta/delete").status_code == 409
    missing = operator.post("/v1/tenants/zeta/suspend")
    assert (missing.status_code, missing.json()["detail"]) == (422, "body: Field required")


@pytest.mark.parametrize("days", ["nan", "inf", 1e300])
def test_a_grace_period_that_is_no_time_is_refused(client: Any, office: Any, days: Any) -> None:
    office.create("acme")
    operator = client("system", "operator")
    operator.post("/v1/tenants/acme/activate", json={})
    answer = operator.post("/v1/tenants/acme/schedule-deletion", json={"grace_days": days})
    assert answer.status_code == 422
    assert operator.get("/v1/tenants/acme").json()["state"] == "active"


def test_a_tenant_sees_itself_and_no_other(client: Any, office: Any) -> None:
    office.create("acme")
    office.create("globex")
    acme = client("acme", "operator")
    assert acme.get("/v1/tenant").json()["tenant"] == "acme"
    for answer in (
        acme.get("/v1/tenants"),
        acme.get("/v1/tenants/globex"),
        acme.post("/v1/tenants/acme/activate", json={}),
        acme.post("/v1/tenants", json={"tenant": "x", "tier": "free", "region": "eu"}),
    ):
        assert answer.status_code == 403
    assert client("nobody").get("/v1/tenant").status_code == 404


def test_tenants_come_in_pages_and_by_state(client: Any, office: Any) -> None:
    for name in ("a", "b", "c"):
        office.create(name)
    office.do("activate", "b", actor="ops")
    operator = client("system", "operator")
    page = operator.get("/v1/tenants?limit=2").json()
    rest = operator.get(f"/v1/tenants?limit=2&cursor={page['next']}").json()
    assert [one["tenant"] for one in page["items"] + rest["items"]] == ["a", "b", "c"]
    active = operator.get("/v1/tenants?state=active").json()["items"]
    assert [one["tenant"] for one in active] == ["b"]


def test_bad_input_is_refused_with_the_reason(client: Any) -> None:
    operator = client("system", "operator")
    bad = operator.post("/v1/tenants", json={"tenant": "acme", "tier": "gold", "region": "eu"})
    assert bad.status_code == 422
    assert "there are free, starter" in bad.json()["detail"]
    assert operator.post("/v1/tenants/none/activate", json={}).status_code == 404
    assert operator.get("/v1/tenants/none/changes").status_code == 404
