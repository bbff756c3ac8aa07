"""Governance over HTTP: a tenant sees its own, orders with a scope; enforcers read everybody's bundles."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.services.governance.api import routes
from trunkline.services.governance.orders import read_bundle
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.services.policies.bundle import bundle_digest
from trunkline.testing.governance_desk import ORDERS, Governance, draft, failed

KEY = Ed25519PrivateKey.generate()
BODY = {"policies": [{"policy_id": "p-eu", "kind": "row_filter", "scope": ORDERS, "body": "region = 'EU'"}]}

Client = Callable[..., TestClient]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """SQLite alone: what differs between databases is below this, and tested there."""
    return f"sqlite:///{tmp_path / 'governance.db'}"


@pytest.fixture
def client(governance: Governance) -> Client:
    """Clients with tokens: `client("acme", "policy:write")`."""
    api = new_api(
        "governance-service",
        [routes(governance.context, governance.outbox, governance.rulebook)],
        store=governance.store,
        verifier=Verifier(KEY.public_key()),
        title="Governance",
    )

    def make(tenant: str = "acme", *scopes: str) -> TestClient:
        token = issue(
            KEY,
            tenant=tenant,
            subject="u-9",
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(hours=1),
        )
        headers = {"authorization": f"Bearer {token}"}
        return TestClient(api, base_url="http://test/v1/", headers=headers)

    return make


def got(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert "x-consumed-through" in answer.headers
    return answer.json()


def test_a_policy_is_published_read_and_revoked(client: Client, governance: Governance) -> None:
    writer = client("acme", "policy:write")
    done = writer.post("policies", json=BODY)
    assert done.json() == {
        "tenant": "acme",
        "revision": 1,
        "digest": done.json()["digest"],
        "changed": True,
        "published": {"p-eu": 1},
    }
    assert [one["policy_id"] for one in got(writer, "policies")["items"]] == ["p-eu"]
    assert got(writer, "policies/p-eu")[0]["actor_id"] == "u-9"
    assert writer.delete("policies/p-eu", params={"reason": "old"}).json()["revision"] == 2
    assert [one["cause"] for one in got(writer, "history")["items"]] == ["revoke p-eu: old", "publish p-eu"]
    assert writer.post("rollback", json={"revision": 1}).json()["revision"] == 3
    assert len(governance.published("policy.bundle_activated.v1")) == 3


def test_an_order_needs_the_scope_of_the_tenant(client: Client) -> None:
    assert client("acme").post("policies", json=BODY).status_code == 403
    other = client("globex", "policy:write").post("policies", json=BODY, params={"tenant": "acme"})
    assert other.status_code == 403
    operator = client("system", "operator").post("policies", json=BODY, params={"tenant": "acme"})
    assert operator.json()["tenant"] == "acme"


def test_a_bad_policy_is_refused_with_why(client: Client) -> None:
    bad = {"policies": [{**BODY["policies"][0], "body": "x IN (SELECT 1)"}]}
    answer = client("acme", "policy:write").post("policies", json=bad)
    assert answer.status_code == 422
    assert "a subquery may not be in a policy" in answer.json()["detail"]


def test_what_is_not_there_is_404(client: Client) -> None:
    writer = client("acme", "policy:write")
    missing = writer.get("policies/nothing")
    assert (missing.status_code, "acme has no policy nothing" in missing.json()["detail"]) == (404, True)
    assert writer.delete("policies/nothing").status_code == 404
    assert writer.delete(f"overrides/{ORDERS}").status_code == 404
    assert writer.post("rollback", json={"revision": 7}).status_code == 422, "a wrong body, not a wrong path"


def test_a_tenant_sees_its_own_only(client: Client, governance: Governance) -> None:
    governance.publish(draft(), tenant="globex")
    governance.report(failed(), tenant="globex")
    mine = client("acme")
    assert got(mine, "bundle")["revision"] == 0
    assert got(mine, "policies") == {"items": [], "next": None}
    assert got(mine, "decisions") == {"items": [], "next": None}
    for path in ("bundle", "policies", "decisions", "assets", "overrides", "history", "rules", "enforcers"):
        assert mine.get(path, params={"tenant": "globex"}).status_code == 403


def test_an_enforcer_gets_a_bundle_that_it_can_check(client: Client, governance: Governance) -> None:
    governance.publish(draft("a"), draft("b"))
    found = read_bundle(got(client("system", "policy:enforce"), "bundle", tenant="acme"))
    assert (found.revision, found.digest) == (1, bundle_digest(found.policies))


def test_enforcers_report_what_they_have(client: Client, governance: Governance) -> None:
    first = governance.publish(draft())
    enforcer = client("system", "policy:enforce")
    bundle = {"tenant": "acme", "revision": 1, "digest": first.digest, "problem": None}
    body = {"instance": "q-1", "service": "query-engine", "bundles": [bundle]}
    assert enforcer.post("enforcers", json=body).json() == {"noted": 1}
    assert enforcer.post("enforcers", json={**body, "instance": "q-2"}).json() == {"noted": 1}
    assert [one["behind"] for one in got(client("acme"), "enforcers")] == [False, False]
    second = governance.publish(draft(body="x = 2"))
    newer = {**bundle, "revision": 2, "digest": second.digest}
    enforcer.post("enforcers", json={**body, "bundles": [newer]})
    found = got(client("system", "operator"), "enforcers")
    assert [(one["instance"], one["behind"]) for one in found] == [("q-1", False), ("q-2", True)]
    enforcer.post("enforcers", json={**body, "instance": "q-2", "bundles": []})
    assert [one["instance"] for one in got(enforcer, "enforcers")] == ["q-1"]
    assert client("acme", "policy:enforce").post("enforcers", json=body).status_code == 403


def test_decisions_and_assets_are_told(client: Client, governance: Governance) -> None:
    governance.report(failed(), failed("b", "x.y"), failed("c", "urn:model:m"))
    mine = client("acme")
    page = got(mine, "decisions", limit=2)
    rest = got(mine, "decisions", limit=2, after=page["next"])
    assert len({one["id"] for one in (*page["items"], *rest["items"])}) == 3
    (one,) = got(mine, "decisions", asset="x.y")["items"]
    assert (one["asset"], one["revision"], one["check_id"]) == ("urn:table:x.y", 2, "b")
    assert got(mine, "assets", limit=2)["items"] == ["urn:model:m", "urn:table:main.orders"]
    view = got(mine, "assets/urn:table:main.orders")
    assert (view["mode"], view["checks"][0]["results"]) == ("enforce", ["error"])


def test_an_asset_is_held_by_hand(client: Client, governance: Governance) -> None:
    writer = client("acme", "policy:write")
    until = (governance.context.wall() + timedelta(hours=1)).isoformat()
    hold = {"asset": "main.orders", "wanted": "warn", "until": until, "reason": "audit"}
    assert writer.post("overrides", json=hold).json()["mode"] == "warn"
    assert got(writer, "overrides")[0]["wanted"] == "warn"
    assert writer.delete("overrides/main.orders").json()["mode"] is None
    assert writer.post("overrides", json={**hold, "until": until.partition("+")[0]}).status_code == 422
    assert client("acme").post("overrides", json=hold).status_code == 403


def test_the_rules_are_told(client: Client) -> None:
    found = client("acme").get("rules").json()
    assert found["triggers"]["error"] == "1 of 1 runs: enforce"
    assert found["triggers"]["warning"] == "off"
    assert found["refused"] == []


def test_pages_of_policies_hold_each_once(client: Client, governance: Governance) -> None:
    governance.publish(*(draft(f"p-{number}") for number in range(5)))
    mine, after, found = client("acme"), None, []
    while True:
        page = got(mine, "policies", limit=2, **({"after": after} if after else {}))
        found += [one["policy_id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert found == [f"p-{number}" for number in range(5)]
    assert mine.get("policies", params={"after": "!"}).status_code == 422
