"""The HTTP API: the token says who reads, and a refusal says by which policy and revision."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.client.config import ConnectionOptions
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue
from trunkline.services.query.api import routes
from trunkline.services.query.following import PolicyFollower
from trunkline.testing.query import EMEA, EngineBench, policy

KEY = Ed25519PrivateKey.generate()
PEOPLE_ONLY = 'forbid (principal, action, resource) unless { principal in Team::"people" };'


@pytest.fixture
def client(bench: EngineBench, tmp_path: Path) -> Iterator[TestClient]:
    unread = PolicyFollower(ConnectionOptions(bootstrap_servers="127.0.0.1:1"), last_known_good=None)
    app = new_api(
        "query-engine",
        [routes(bench.engine, unread)],
        store=bench.store,
        verifier=Verifier(KEY.public_key()),
        title="Query Engine",
    )
    with TestClient(app) as opened:
        yield opened


def auth(*scopes: str, subject: str = "u-17", tenant: str = "acme") -> dict[str, str]:
    token = issue(
        KEY,
        tenant=tenant,
        subject=subject,
        scopes=scopes,
        now=datetime.now(UTC),
        lifetime=timedelta(minutes=5),
    )
    return {"authorization": f"Bearer {token}"}


def test_a_query_answers_with_rows_of_every_type(client: TestClient, bench: EngineBench) -> None:
    bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA), revision=3)
    sql = (
        "SELECT count(*) AS n, 1.50 AS d, DATE '2026-01-02' AS day,"
        " TIMESTAMPTZ '2026-01-02 03:04:05+01' AS at, 'x'::BLOB AS raw, {'a': [1]} AS nested,"
        " NULL AS nothing, 'nan'::DOUBLE AS nan FROM hr.salary"
    )
    answer = client.post("/v1/queries", json={"sql": sql}, headers=auth())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["rows"] == [
        [50, "1.50", "2026-01-02", "2026-01-02 02:04:05+00", "eA==", {"a": [1]}, None, None]
    ]
    assert found["policy_revision"] == 3
    assert [column["type"] for column in found["columns"]][:2] == ["BIGINT", "DECIMAL(3,2)"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_denial_is_403_with_policy_and_revision_and_teams_come_from_the_token(
    client: TestClient, bench: EngineBench
) -> None:
    bench.activate(policy("access", "urn:table:hr.salary", PEOPLE_ONLY, policy_id="p-1"), revision=9)
    denied = client.post("/v1/queries", json={"sql": "SELECT * FROM hr.salary"}, headers=auth())
    assert denied.status_code == 403
    assert "policy p-1 in revision 9" in denied.json()["detail"]
    sql = {"sql": "SELECT count(*) FROM hr.salary"}
    assert client.post("/v1/queries", json=sql, headers=auth("team:people")).status_code == 200
    assert client.post("/v1/queries", json=sql, headers=auth("role:people")).status_code == 403


def test_stale_policies_are_a_matter_of_time(client: TestClient, bench: EngineBench) -> None:
    bench.activate(policy("access", "urn:table:hr.salary", PEOPLE_ONLY))
    bench.stale = "the cluster is away"
    answer = client.post("/v1/queries", json={"sql": "SELECT 1"}, headers=auth())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    unknown = client.post("/v1/queries", json={"sql": "SELECT 1"}, headers=auth(tenant="other"))
    assert unknown.status_code == 503


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELEC", "error"),
        ("SELECT missing FROM team", "binder_error"),
        ("DROP TABLE team", "send one SELECT"),
    ],
)
def test_a_bad_statement_is_422(client: TestClient, sql: str, text: str) -> None:
    answer = client.post("/v1/queries", json={"sql": sql}, headers=auth())
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    if text != "error":
        assert text in answer.json()["detail"]


def test_a_tenant_reads_its_own_database(client: TestClient) -> None:
    own = client.post("/v1/queries", json={"sql": "SELECT count(*) FROM team"}, headers=auth())
    assert own.json()["rows"] == [[100]]
    other = client.post(
        "/v1/queries", json={"sql": "SELECT count(*) FROM team"}, headers=auth(tenant="other")
    )
    assert other.status_code == 422


def test_everybody_sees_the_own_log_and_an_auditor_that_of_the_tenant(client: TestClient) -> None:
    for number in range(3):
        client.post("/v1/queries", json={"sql": f"SELECT {number}"}, headers=auth())
    client.post("/v1/queries", json={"sql": "SELECT 'other'"}, headers=auth(subject="u-2"))
    first = client.get("/v1/queries?limit=2", headers=auth()).json()
    assert [entry["sql"] for entry in first["items"]] == ["SELECT 2", "SELECT 1"]
    rest = client.get(f"/v1/queries?limit=2&cursor={first['next']}", headers=auth()).json()
    assert ([entry["sql"] for entry in rest["items"]], rest["next"]) == (["SELECT 0"], None)
    assert len(client.get("/v1/queries", headers=auth("auditor")).json()["items"]) == 4
    assert client.get("/v1/queries", headers=auth("auditor", tenant="other")).json()["items"] == []
    query_id = first["items"][0]["query_id"]
    assert client.get(f"/v1/queries/{query_id}", headers=auth()).json()["state"] == "completed"
    for who in (auth(subject="u-2"), auth("auditor", tenant="other")):
        assert client.get(f"/v1/queries/{query_id}", headers=who).status_code == 404
        assert client.delete(f"/v1/queries/{query_id}", headers=who).status_code == 404
    assert client.delete(f"/v1/queries/{query_id}", headers=auth()).status_code == 409
    assert client.get("/v1/queries?state=nonsense", headers=auth()).status_code == 422


def test_only_auditors_see_what_policies_make_of_a_statement(client: TestClient, bench: EngineBench) -> None:
    bench.activate(policy("row_filter", "urn:table:hr.salary", EMEA, policy_id="p-emea"))
    body = {"sql": "SELECT * FROM hr.salary"}
    found = client.post("/v1/queries/explain", json=body, headers=auth()).json()
    assert (found["allowed"], found["sql"]) == (True, None)
    assert found["decisions"][0]["filters"] == ["p-emea"]
    shown = client.post("/v1/queries/explain", json=body, headers=auth("auditor")).json()
    assert "'EMEA'" in shown["sql"]


def test_policies_are_tested_on_the_log_by_auditors(client: TestClient) -> None:
    client.post("/v1/queries", json={"sql": "SELECT count(*) FROM hr.salary"}, headers=auth())
    proposal = {
        "policies": [
            {
                "policy_id": "p-1",
                "version": 1,
                "kind": "access",
                "mode": "enforce",
                "scope": "urn:table:hr.salary",
                "body": PEOPLE_ONLY,
            }
        ]
    }
    assert client.post("/v1/whatif", json=proposal, headers=auth()).status_code == 403
    found = client.post("/v1/whatif", json=proposal, headers=auth("auditor")).json()
    assert (found["compared"], found["differences"][0]["then"]["policy_id"]) == (1, "p-1")
    (policy,) = proposal["policies"]
    drafted = {name: value for name, value in policy.items() if name not in ("version", "mode")}
    again = client.post("/v1/whatif", json={"policies": [drafted]}, headers=auth("auditor"))
    assert again.json() == found, "as `policy publish` takes it"
    bad = client.post("/v1/whatif", json={"policies": [{"kind": "nonsense"}]}, headers=auth("auditor"))
    assert bad.status_code == 422


def test_an_enforcer_without_policies_says_so(client: TestClient) -> None:
    answer = client.get("/v1/enforcer", headers=auth())
    assert answer.status_code == 503
    assert "not read yet" in answer.json()["detail"]
    assert client.get("/v1/enforcer/bundle", headers=auth()).status_code == 403


def test_nobody_asks_without_a_token(client: TestClient) -> None:
    assert client.post("/v1/queries", json={"sql": "SELECT 1"}).status_code == 401
