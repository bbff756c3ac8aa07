"""Data quality over HTTP."""

from trunkline.testing.lineage import assertion, run_of_tests
from trunkline.testing.service_desk import ServiceDesk
from trunkline.testing.suite.cases.quality import LOADED

WRITE = ("quality:write",)


def test_assets_anomalies_and_why(fed: ServiceDesk) -> None:
    client = fed.client()
    first = client.get("/v1/assets?limit=1").json()
    second = client.get(f"/v1/assets?limit=1&after={first['next']}").json()
    assert [one["asset"] for one in first["items"] + second["items"]] == ["urn:table:main.customers", LOADED]
    assert second["items"][0]["load_period_minutes"] == 1_440
    found = client.get("/v1/anomalies", params={"asset": "main.orders"}).json()["items"]
    dropped = next(one for one in found if one["metric"] == "rows_written")
    explained = client.get(f"/v1/anomalies/{dropped['id']}").json()
    assert "robust standard deviations" in explained["why"]
    assert explained["points"][-1]["observed"] == 400
    renamed = next(one for one in found if one["metric"] == "schema")
    assert "columns" in client.get(f"/v1/anomalies/{renamed['id']}").json()["why"]
    assert client.get("/v1/anomalies/none").status_code == 404
    still = client.get("/v1/anomalies?only_open=true").json()["items"]
    assert all(one["resolved_at"] is None for one in still)


def test_anomalies_come_in_pages(fed: ServiceDesk) -> None:
    client = fed.client(tenant="globex")
    whole = [one["id"] for one in client.get("/v1/anomalies").json()["items"]]
    page = client.get("/v1/anomalies?limit=2").json()
    rest = client.get(f"/v1/anomalies?after={page['next']}").json()
    assert [one["id"] for one in page["items"] + rest["items"]] == whole


def test_a_proposal_is_activated_and_muted(fed: ServiceDesk) -> None:
    client = fed.client(scopes=WRITE)
    proposed = client.get("/v1/checks?state=proposed").json()["items"]
    one = next(check for check in proposed if check["kind"] == "not_null")
    assert 0 < one["confidence"] <= 1
    assert client.put(f"/v1/checks/{one['id']}/state", json={"state": "active"}).status_code == 200
    [active] = client.get("/v1/checks?state=active").json()["items"]
    assert (active["id"], active["decided_by"]) == (one["id"], "ada")
    assert client.put("/v1/checks/none/state", json={"state": "active"}).status_code == 404
    other = fed.client(tenant="globex", scopes=WRITE).put(
        f"/v1/checks/{one['id']}/state", json={"state": "muted"}
    )
    assert other.status_code == 200
    assert len(client.get("/v1/checks?state=active&limit=1").json()["items"]) == 1


def test_results_come_in_and_make_scores(service: ServiceDesk) -> None:
    client = service.client(scopes=WRITE)
    sent = run_of_tests(assertion("unique"), assertion("unique", success=False, column="id"))
    assert client.post("/v1/lineage", content=sent).json() == {"new": 2, "known": 0}
    assert client.post("/v1/lineage", content=sent).json() == {"new": 0, "known": 2}
    scores = client.get(f"/v1/assets/{LOADED}/scores").json()
    assert scores == {"asset": LOADED, "by_dimension": {"uniqueness": 50}}
    [one, other] = client.get("/v1/checks?state=active").json()["items"]
    assert {one["last_passed"], other["last_passed"]} == {True, False}
    assert client.post("/v1/lineage", content=b"{").status_code == 422


def test_an_asset_has_scores_only_where_something_is_known_of_it(fed: ServiceDesk) -> None:
    client = fed.client()
    assert client.get("/v1/assets/urn:table:main.customers/scores").status_code == 200
    unknown = client.get("/v1/assets/urn:table:nope/scores")
    assert (unknown.status_code, "urn:table:main.nope" in unknown.json()["detail"]) == (404, True)


def test_only_who_has_the_scope_writes_anything(service: ServiceDesk) -> None:
    reader = service.client(scopes=["pipelines:write"])
    for refused in (
        reader.put("/v1/checks/c/state", content=b"{}"),
        reader.post("/v1/lineage", content=b"{}"),
    ):
        assert (refused.status_code, "quality:write" in refused.json()["detail"]) == (403, True)


def test_nothing_is_shown_without_a_token(service: ServiceDesk) -> None:
    client = service.client()
    del client.headers["authorization"]
    for path in ("assets", "anomalies", "checks", "settings/refused"):
        assert client.get(f"/v1/{path}").status_code == 401
