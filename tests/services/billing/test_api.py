"""The HTTP API, over the routes as they are served."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.testclient import TestClient

from trunkline.services.billing import focus
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import Verifier, issue

Client = Callable[..., TestClient]


@pytest.fixture
def client(desk: Any) -> Client:
    """A client of a tenant."""
    key = Ed25519PrivateKey.generate()
    api = new_api(
        "billing-service",
        [desk.app.router()],
        store=desk.store,
        verifier=Verifier(key.public_key()),
        title="Billing",
    )

    def of(tenant: str, *scopes: str) -> TestClient:
        token = issue(
            key,
            tenant=tenant,
            subject="test",
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(minutes=5),
        )
        return TestClient(api, headers={"authorization": f"Bearer {token}"})

    return of


def test_usage_is_the_callers_own(desk: Any, make: Any, client: Client) -> None:
    desk.feed(make.tokens(1), make.tokens(2, tenant="globex"))
    found = client("acme").get("/v1/usage", params={"meter": "llm_input_tokens"})
    assert found.headers["x-consumed-through"] == "ai.agent.events/0=2"
    assert found.json()["items"] == [
        {
            "meter": "LLM_INPUT_TOKENS",
            "period": "2026-11",
            "group": group,
            "quantity": "100",
            "unit": "tokens",
            "events": 1,
        }
        for group in ({}, {"model": "model-1"})
    ]
    assert client("nobody").get("/v1/usage").json() == {"items": [], "next": None}


def test_usage_comes_in_pages_of_a_stable_order(desk: Any, make: Any, client: Client) -> None:
    desk.feed(*(make.tokens(number) for number in range(4)), make.query(1))
    everything = client("acme").get("/v1/usage").json()["items"]
    paged: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = client("acme").get("/v1/usage", params={"limit": "2"} | after).json()
        paged += page["items"]
        if page["next"] is None:
            break
        after = {"cursor": page["next"]}
    assert len(paged) == 11
    assert paged == everything


def test_standing_compares_with_the_limit_and_says_how_fresh_it_is(
    desk: Any, make: Any, client: Client
) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 3})
    desk.feed(make.query(1), make.query(2))
    found = {one["meter"]: one for one in client("acme").get("/v1/usage/standing").json()}
    one = found["QUERY_EXECUTIONS"]
    assert (one["used"], one["limit"], one["percent"], one["exceeded"]) == ("2", "3", "66.6", False)
    assert (one["told"], one["recovered"]) == ([50], [])
    assert one["fresh_to"] == make.query(2).time.isoformat().replace("+00:00", "Z")
    desk.set("billing.quotas.query_executions", {"limit": 300})
    found = {one["meter"]: one for one in client("acme").get("/v1/usage/standing").json()}
    assert found["QUERY_EXECUTIONS"]["recovered"] == [50]


def test_a_number_is_explained_by_all_its_events_page_by_page(desk: Any, make: Any, client: Client) -> None:
    desk.feed(*(make.tokens(number, input_tokens=number) for number in range(25)), make.query(1))
    wanted: dict[str, Any] = {"meter": "LLM_INPUT_TOKENS", "group": "model=model-1", "limit": 5}
    events: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = client("acme").get("/v1/usage/explain", params=wanted | after).json()
        events += page["items"]
        if page["next"] is None:
            break
        after = {"cursor": page["next"]}
    assert [event["id"] for event in events] == [f"tokens-acme-{number}" for number in range(1, 25, 2)]
    assert sum(int(event["quantity"]) for event in events) == sum(range(1, 25, 2))


def test_periods_corrections_and_quarantine_are_shown(desk: Any, make: Any, client: Client) -> None:
    october = datetime.fromisoformat("2026-10-30T12:00:00Z")
    desk.feed(make.created("starter", at=october), make.query(1, at=october))
    operator = client("system", "operator")
    closed = operator.post("/v1/tenants/acme/periods/2026-10/close")
    assert (closed.status_code, closed.json()["totals"]["QUERY_EXECUTIONS"]) == (200, "1")
    assert operator.post("/v1/tenants/acme/periods/2026-10/close").status_code == 409
    assert operator.post("/v1/tenants/acme/periods/2026-09/close").status_code == 404
    assert operator.post("/v1/tenants/acme/periods/2026-13/close").status_code == 422
    desk.feed(make.query(2, at=october), make.query(3, at=make.BEGIN + timedelta(days=9)), arrived=make.BEGIN)
    acme = client("acme")
    (month,) = acme.get("/v1/periods").json()
    assert (month["state"], month["tier"], month["stretches"][-1]["tier"]) == ("closed", "starter", "starter")
    corrections = acme.get("/v1/corrections", params={"period": "2026-11"}).json()["items"]
    assert {(one["meter"], one["delta"]) for one in corrections} >= {("QUERY_EXECUTIONS", "1")}
    (doubted,) = acme.get("/v1/quarantine").json()["items"]
    assert (doubted["id"], doubted["reason"], doubted["state"]) == ("query-acme-3", "future", "waiting")
    assert operator.post(f"/v1/quarantine/{doubted['number']}/accept").status_code == 204
    assert operator.post(f"/v1/quarantine/{doubted['number']}/accept").status_code == 409
    assert operator.post("/v1/quarantine/999/discard", params={"note": "x"}).status_code == 404
    assert desk.used()["QUERY_EXECUTIONS"] == "1"


def test_only_the_operator_closes(desk: Any, make: Any, client: Client) -> None:
    desk.feed(make.query(1))
    for caller in (client("acme"), client("acme", "operator"), client("system")):
        assert caller.post("/v1/tenants/acme/periods/2026-10/close").status_code == 403


def test_the_export_is_csv_of_focus_and_adds_up(desk: Any, make: Any, client: Client) -> None:
    desk.set("billing.plans.free", {"prices": {"LLM_INPUT_TOKENS": "0.000003", "QUERY_EXECUTIONS": "0.1"}})
    desk.feed(make.created("free"), *(make.tokens(number) for number in range(3)), make.query(1))
    answer = client("acme").get("/v1/export")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert set(focus.MANDATORY) <= rows[0].keys()
    costs = {(row["SkuId"], row["Tags"]): row["BilledCost"] for row in rows}
    assert costs["LLM_INPUT_TOKENS", '{"model":"model-0"}'] == "0.0006"
    assert costs["QUERY_EXECUTIONS", ""] == "0.1"
    assert ("LLM_INPUT_TOKENS", "") not in costs


def test_meters_and_settings_that_are_not_in_force_are_shown(desk: Any, client: Client) -> None:
    desk.set("billing.meters.broken", {"event_type": "query.completed.v1", "aggregation": "sum", "unit": "x"})
    desk.set("billing.quotas.llm_tokens", {"limit": -1}, tenant="globex")
    acme = client("acme").get("/v1/meters").json()
    assert "COMPUTE_SECONDS" in {one["code"] for one in acme["meters"]}
    assert [one["key"] for one in acme["refused"]] == ["billing.meters.broken"]
    assert len(client("globex").get("/v1/meters").json()["refused"]) == 2


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("usage", {"period": "2026-13"}, "write a month as YYYY-MM"),
        ("usage", {"meter": "NONSENSE"}, "there is no meter NONSENSE"),
        ("usage/explain", {"meter": "LLM_TOKENS", "group": "nonsense"}, "write NAME=VALUE"),
        ("usage/explain", {"meter": "LLM_TOKENS", "cursor": "nonsense"}, "is not one of this query"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_reason(
    desk: Any, client: Client, path: str, parameters: dict[str, str], reason: str
) -> None:
    answer = client("acme").get(f"/v1/{path}", params=parameters)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
