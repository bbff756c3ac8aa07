"""Who may do what over HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.services.iam.api import routes
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue

KEY = Ed25519PrivateKey.generate()
GRANT = {"grantee_id": "u-17", "permission": "query.execute", "resource": "urn:schema:sales"}


@pytest.fixture
def client(office: Any) -> Callable[..., TestClient]:
    api = new_api(
        "iam-service",
        [routes(office.context, office.desk)],
        store=office.store,
        verifier=Verifier(KEY.public_key()),
        title="IAM Service",
    )

    def of(tenant: str, *scopes: str) -> TestClient:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        token = issue(KEY, tenant=tenant, subject="ana", scopes=scopes, now=now, lifetime=hour)
        return TestClient(api, headers={"authorization": f"Bearer {token}"})

    return of


def test_an_administrator_grants_and_revokes_in_its_own_tenant(client: Any, office: Any) -> None:
    admin = client("acme", "iam:admin")
    assert admin.post("/v1/permissions/grant", json=GRANT).json() == {"changed": True}
    assert admin.post("/v1/permissions/grant", json=GRANT).json() == {"changed": False}
    assert admin.get("/v1/permissions").json()["items"][0]["grantee_id"] == "u-17"
    assert client("globex", "iam:admin").get("/v1/permissions").json()["items"] == []
    assert admin.post("/v1/permissions/revoke", json=GRANT).json() == {"changed": True}
    assert {event.data.actor_id for event in office.told()} == {"ana"}


def test_without_the_scope_nothing_can_be_changed(client: Any) -> None:
    reader = client("acme")
    assert reader.get("/v1/permissions").status_code == 200
    for path, body in (
        ("permissions/grant", GRANT),
        ("roles", {"user_id": "u", "role": "r"}),
        ("api-keys", {}),
        ("logins", {"user_id": "u", "method": "sso", "verified": True}),
        ("erasure-requests", {"subject_id": "c"}),
    ):
        assert reader.post(f"/v1/{path}", json=body).status_code == 403
    assert reader.get("/v1/api-keys").status_code == 403
    assert client("acme", "iam:admin").get("/v1/deletions").status_code == 403
    assert client("system", "operator").get("/v1/deletions").json() == {"items": [], "next": None}


def test_a_role_is_given_and_taken_away(client: Any, office: Any) -> None:
    admin = client("acme", "iam:admin")
    role = {"user_id": "u-17", "role": "analyst", "scope": "urn:workspace:emea"}
    assert admin.post("/v1/roles", json=role).json() == {"changed": True}
    assert client("acme").delete("/v1/roles", params=role).status_code == 403
    assert admin.delete("/v1/roles?user_id=u-17&role=analyst").json() == {"changed": False}
    assert admin.delete("/v1/roles", params={**role, "reason": "left"}).json() == {"changed": True}
    assert admin.delete("/v1/roles", params=role).json() == {"changed": False}
    assert admin.get("/v1/roles").json()["items"] == []
    assert office.told()[-1].data.reason == "left"


def test_a_key_is_in_one_answer_only(client: Any) -> None:
    admin = client("acme", "iam:admin")
    assert admin.post("/v1/api-keys").status_code == 201
    made = admin.post("/v1/api-keys", json={"name": "nightly"})
    assert made.status_code == 201
    assert made.json()["key"] not in admin.get("/v1/api-keys").text
    assert admin.delete(f"/v1/api-keys/{made.json()['key_id']}?reason=rotated").json() == {"changed": True}
    assert admin.delete("/v1/api-keys/none").status_code == 404


def test_a_grant_that_is_over_already_is_wrong_input(client: Any) -> None:
    answer = client("acme", "iam:admin").post(
        "/v1/permissions/grant", json={**GRANT, "expires_at": "2020-01-01T00:00:00Z"}
    )
    assert answer.status_code == 422
    assert answer.json()["detail"] == "expires_at 2020-01-01T00:00:00Z is not in the future"


def test_lists_come_in_pages(client: Any) -> None:
    admin = client("acme", "iam:admin")
    for number in range(5):
        wish = {"user_id": f"u-{number}", "method": "sso", "verified": True}
        assert admin.post("/v1/logins", json=wish).json()["allowed"]
        admin.post("/v1/permissions/grant", json={**GRANT, "resource": f"urn:table:{number}"})
        admin.post("/v1/erasure-requests", json={"subject_id": "c", "request_id": f"r-{number}"})
        admin.post("/v1/api-keys", json={})
    for path in ("accounts", "permissions", "erasure-requests", "api-keys"):
        found: list[object] = []
        page = admin.get(f"/v1/{path}?limit=2").json()
        found += page["items"]
        while page["next"]:
            page = admin.get(f"/v1/{path}?limit=2&cursor={page['next']}").json()
            found += page["items"]
        assert len(found) == 5, path
    assert admin.post("/v1/roles", json={"user_id": "u", "role": "analyst"}).json() == {"changed": True}
    assert admin.get("/v1/roles?user=u").json()["items"][0]["role"] == "analyst"


def test_roles_come_in_pages_and_none_is_left_out(client: Any) -> None:
    admin = client("acme", "iam:admin")
    wanted = [
        (user, role, scope) for user in ("u-1", "u-2") for role in ("a", "b") for scope in (None, "x", "y")
    ]
    for user, role, scope in reversed(wanted):
        admin.post("/v1/roles", json={"user_id": user, "role": role, "scope": scope})
    found: list[tuple[str, str, str | None]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = admin.get(f"/v1/roles?limit=5{cursor and f'&cursor={cursor}'}").json()
        found += [(one["user_id"], one["role"], one["scope"]) for one in page["items"]]
        cursor = page["next"]
    assert found == wanted
