"""The config service over HTTP: who may see and do what."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from trunkline.client.broadcast.overview import InstanceView, Standing
from trunkline.services.config.api import routes
from trunkline.services.config.stream import ChangeStreams
from trunkline.services.kit.api.problems import Problem
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import issue, load_or_create_key, load_verifier, public_path

INSTANCES = [
    InstanceView(
        service="audit-service",
        instance=str(number),
        standing=standing,
        behind=number,
        seen_seconds=1.0,
        digest="0" * 64,
        rejected=0,
        last_rejected=None,
        positions={},
    )
    for number, standing in enumerate((Standing.CURRENT, Standing.BEHIND))
]


class Api:
    """Calls as somebody."""

    def __init__(self, client: TestClient, key: Any) -> None:
        self._client = client
        self._key = key

    def call(self, who: str, method: str, path: str, body: Any = None) -> Any:
        tenant, _, scope = who.partition("/")
        token = issue(
            self._key,
            tenant=tenant,
            subject=f"{tenant}-user",
            scopes=[scope] if scope else [],
            now=datetime.now(UTC),
            lifetime=timedelta(hours=1),
        )
        headers = {"authorization": f"Bearer {token}"}
        return self._client.request(method, f"/v1{path}", json=body, headers=headers)


OPS, EVE, READER = "system/operator", "acme/config:write", "acme"


@pytest.fixture
def api(service: Any, tmp_path: Path) -> Iterator[Api]:
    from trunkline.client.store import migrate

    migrate(service.store)
    key = load_or_create_key(tmp_path / "key.pem")
    router = routes(service.desk, ChangeStreams(service.store, service.rules.registry), lambda: INSTANCES)
    verifier = load_verifier(public_path(tmp_path / "key.pem"))
    app = new_api("config-service", [router], store=service.store, verifier=verifier, title="Config")
    with TestClient(app) as client:
        yield Api(client, key)


def set_body(
    key: str, value: Any, level: str = "global", scope: str | None = None, **more: Any
) -> dict[str, Any]:
    return {"key": key, "value": value, "level": level, "scope": scope, **more}


def test_an_operator_sets_looks_up_and_rolls_back(api: Api) -> None:
    first = api.call(OPS, "PUT", "/values", set_body("a.b", {"x": 1}, reason="why"))
    assert (first.status_code, first.json()["version"], first.json()["outcome"]) == (200, 1, "changed")
    api.call(OPS, "PUT", "/values", set_body("a.b", 2, "tenant", "acme"))
    api.call(OPS, "PUT", "/values", set_body("a.b", 3, "service", "query-engine"))
    won = api.call(OPS, "GET", "/resolve?key=a.b&tenant=acme&service=query-engine").json()
    assert (won["value"], won["level"], [one["level"] for one in won["levels"]]) == (
        2,
        "tenant",
        ["tenant", "service", "global"],
    )
    assert api.call(OPS, "GET", "/resolve?key=a.c").json()["level"] is None
    api.call(OPS, "POST", "/unset", {"key": "a.b", "level": "tenant", "scope": "acme"})
    assert api.call(OPS, "GET", "/resolve?key=a.b&tenant=acme").json()["level"] == "global"
    back = api.call(
        OPS, "POST", "/rollback", {"key": "a.b", "level": "tenant", "scope": "acme", "to_version": 1}
    )
    assert back.json()["version"] == 3
    history = api.call(OPS, "GET", "/history?key=a.b&level=tenant&scope=acme").json()["items"]
    assert [(one["version"], one["origin"], one["actor"]) for one in history] == [
        (3, "rollback", "system-user"),
        (2, "unset", "system-user"),
        (1, "set", "system-user"),
    ]


def test_pages_go_on_where_they_ended(api: Api) -> None:
    for number in range(5):
        api.call(OPS, "PUT", "/values", set_body(f"a.k{number}", number))
    for path, of in (("/entries?", "key"), ("/history?", "key")):
        seen: list[str] = []
        after = ""
        while True:
            page = api.call(OPS, "GET", f"{path}limit=2{after}").json()
            seen += [one[of] for one in page["items"]]
            if page["next"] is None:
                break
            after = f"&cursor={page['next']}"
        assert sorted(seen) == [f"a.k{number}" for number in range(5)]
    assert api.call(OPS, "GET", "/entries?cursor=nonsense").status_code == 422
    assert len(api.call(OPS, "GET", "/entries?prefix=a.k1").json()["items"]) == 1


def test_a_tenant_sees_and_changes_its_own_level_only(api: Api) -> None:
    api.call(OPS, "PUT", "/values", set_body("a.b", "all"))
    api.call(OPS, "PUT", "/values", set_body("a.b", "theirs", "tenant", "globex"))
    mine = api.call(EVE, "PUT", "/values", set_body("a.b", "mine", "tenant"))
    assert (mine.status_code, mine.json()["scope"]) == (200, "acme")
    assert [one["value"] for one in api.call(EVE, "GET", "/entries").json()["items"]] == ["mine"]
    assert api.call(EVE, "GET", "/resolve?key=a.b").json()["value"] == "mine"
    for who, method, path, body in (
        (EVE, "PUT", "/values", set_body("a.b", 1)),
        (EVE, "PUT", "/values", set_body("a.b", 1, "tenant", "globex")),
        (EVE, "PUT", "/values", set_body("a.b", 1, "service", "query-engine")),
        (READER, "PUT", "/values", set_body("a.b", 1, "tenant")),
        (EVE, "POST", "/rollback", {"key": "a.b", "to_version": 1}),
        (EVE, "GET", "/resolve?key=a.b&tenant=globex", None),
        (EVE, "GET", "/snapshot", None),
        (EVE, "GET", "/instances", None),
        ("acme/operator", "GET", "/snapshot", None),
    ):
        assert api.call(who, method, path, body).status_code == 403, (who, path, body)


def test_a_tenant_sees_what_holds_for_it_and_not_who_set_it(api: Api) -> None:
    api.call(OPS, "PUT", "/values", set_body("query.timeout_ms", 5))
    api.call(OPS, "PUT", "/values", set_body("billing.provider", "us"))
    found = api.call(READER, "GET", "/resolve?key=query.timeout_ms").json()
    assert (found["value"], found["levels"][0]["updated_by"]) == (5, None)
    assert api.call(READER, "GET", "/resolve?key=billing.provider").status_code == 403
    assert api.call(OPS, "GET", "/resolve?key=billing.provider").json()["value"] == "us"


def test_a_tenant_does_not_raise_its_own_limits(api: Api, service: Any) -> None:
    own = api.call(EVE, "PUT", "/values", set_body("quality.threshold", 1, "tenant"))
    limit = api.call(EVE, "PUT", "/values", set_body("query.timeout_ms", 1, "tenant"))
    assert (own.status_code, limit.status_code) == (200, 403)
    assert limit.json()["detail"] == "query.timeout_ms is set by an operator only"
    api.call(OPS, "PUT", "/values", set_body("query.timeout_ms", 1, "tenant", "acme"))
    about = {"key": "query.timeout_ms", "level": "tenant"}
    assert api.call(EVE, "POST", "/unset", about).status_code == 403
    assert api.call(EVE, "POST", "/rollback", about | {"to_version": 1}).status_code == 403
    later = (service.clock() + timedelta(hours=1)).isoformat()
    body = set_body("query.timeout_ms", 2, "tenant", "acme", at=later)
    plan = api.call(OPS, "PUT", "/values", body).json()["plan_id"]
    assert api.call(EVE, "POST", f"/plans/{plan}/cancel").status_code == 403


def test_a_flag_is_on_for_whom_it_says(api: Api) -> None:
    api.call(OPS, "PUT", "/flags", {"key": "ui.x", "enabled": True, "rollout_percent": 0, "tiers": ["gold"]})
    assert api.call(READER, "GET", "/flags/ui.x").json()["value"] is False
    assert api.call(READER, "GET", "/flags/ui.x?tier=gold").json()["value"] is True
    api.call(EVE, "PUT", "/flags", {"key": "ui.x", "level": "tenant", "enabled": True})
    assert api.call(READER, "GET", "/flags/ui.x").json()["level"] == "tenant"
    api.call(EVE, "POST", "/unset", {"key": "ui.x", "level": "tenant", "kind": "flag"})
    assert api.call(READER, "GET", "/flags/ui.x").json()["level"] == "global"
    assert api.call(OPS, "GET", "/flags/ui.x").status_code == 422
    assert api.call(READER, "GET", "/flags/ui.none").json()["level"] is None


def test_what_cannot_be_is_a_problem_with_the_reason(api: Api) -> None:
    bad = api.call(OPS, "PUT", "/values", set_body("query.timeout_ms", "soon"))
    assert (bad.status_code, bad.headers["content-type"]) == (422, "application/problem+json")
    assert bad.json()["detail"] == "query.timeout_ms: Expected `int`, got `str`"
    api.call(OPS, "PUT", "/values", set_body("a.b", 1))
    conflict = api.call(OPS, "PUT", "/values", set_body("a.b", 2, expected_version=7))
    assert (conflict.status_code, "has version 1, not 7" in conflict.json()["detail"]) == (409, True)
    naive = api.call(OPS, "PUT", "/values", set_body("a.b", 2, at="2030-01-01T00:00:00"))
    assert (naive.status_code, "has no offset" in naive.json()["detail"]) == (422, True)


def test_plans_of_others_are_not_there(api: Api, service: Any) -> None:
    later = (service.clock() + timedelta(hours=1)).isoformat()
    plan = api.call(OPS, "PUT", "/values", set_body("a.b", 1, at=later)).json()
    mine = api.call(EVE, "PUT", "/values", set_body("a.b", 1, "tenant", at=later)).json()
    assert [one["id"] for one in api.call(EVE, "GET", "/plans").json()["items"]] == [mine["plan_id"]]
    assert api.call(EVE, "POST", f"/plans/{plan['plan_id']}/cancel").status_code == 404
    assert api.call(READER, "POST", f"/plans/{mine['plan_id']}/cancel").status_code == 403
    done = api.call(EVE, "POST", f"/plans/{mine['plan_id']}/cancel").json()
    assert (done["status"], done["note"]) == ("cancelled", "by acme-user")
    assert api.call(OPS, "POST", f"/plans/{mine['plan_id']}/approve").status_code == 409
    first = api.call(OPS, "GET", "/plans?settled=true&limit=1").json()
    rest = api.call(OPS, "GET", f"/plans?settled=true&cursor={first['next']}").json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [mine["plan_id"], plan["plan_id"]]


def test_differences_snapshot_and_instances_are_for_operators_to_compare(api: Api, service: Any) -> None:
    api.call(OPS, "PUT", "/values", set_body("a.b", 1))
    service.clock.move(minutes=1)
    api.call(OPS, "PUT", "/values", set_body("a.b", 2))
    api.call(OPS, "PUT", "/values", set_body("a.c", 3))
    found = api.call(OPS, "GET", "/diff?since=2026-03-01T12:00:30Z&until=2027-01-01T00:00:00Z").json()
    assert [(one["key"], one["before"], one["after"], one["before_version"]) for one in found["items"]] == [
        ("a.b", 1, 2, 1),
        ("a.c", None, 3, None),
    ]
    snapshot = api.call(OPS, "GET", "/snapshot").json()
    assert snapshot["digest"] == service.instance().digest
    assert len(snapshot["entries"]) == 2
    assert len(api.call(OPS, "GET", "/instances").json()) == 2
    assert [one["instance"] for one in api.call(OPS, "GET", "/instances?behind=true").json()] == ["1"]


def test_a_stream_has_the_changes_of_the_topic_from_where_a_client_was(service: Any) -> None:
    streams = ChangeStreams(service.store, service.rules.registry)
    service.set("a.b", 1)
    service.set("a.b", 2, "tenant", "globex")
    service.set("a.b", 3, "tenant", "acme")
    service.set("billing.provider", "us")
    service.hear(*service.published())

    async def first(count: int, place: int, tenant: str | None) -> list[bytes]:
        stream = streams.follow(place, tenant=tenant)
        found = [await anext(stream) for _ in range(count + 1)]
        await stream.aclose()  # type: ignore[attr-defined]
        return found[1:]

    everything = asyncio.run(first(4, streams.since("0"), None))
    assert [part.split(b"\n")[0] for part in everything] == [b"id: 1", b"id: 2", b"id: 3", b"id: 4"]
    mine = asyncio.run(first(2, streams.since("0"), "acme"))
    told = [json.loads(part.split(b"data: ")[1]) for part in mine]
    assert [(one["value"], one["actor"]) for one in told] == [(1, ""), (3, "ana")]
    assert streams.since(None) == 4
    for nonsense in ("", "-1", "x", "9" * 40, "٣"):
        with pytest.raises(Problem):
            streams.since(nonsense)


def test_every_answer_says_how_far_the_service_has_read(api: Api) -> None:
    assert "x-consumed-through" in api.call(READER, "GET", "/entries").headers
