"""The HTTP API: one's own tenant only, with the scope that a change needs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.services.kit.api.server import new_api
from trunkline.services.kit.api.tokens import issue, load_or_create_key, load_verifier, public_path
from trunkline.services.notification.api.inbox import events_after
from trunkline.services.notification.unsubscribing import Purpose, Unsubscribing
from trunkline.testing.consuming import eventually
from trunkline.testing.notification_desk import TENANT, NotificationDesk

Client = Callable[..., TestClient]


@pytest.fixture
def client(desk: NotificationDesk, tmp_path: Path) -> Client:
    """A client with a token of its own."""
    key = load_or_create_key(tmp_path / "token.pem")

    def app() -> FastAPI:
        assert desk.app.router is not None
        return new_api(
            "notification-service",
            [desk.app.router()],
            store=desk.store,
            verifier=load_verifier(public_path(tmp_path / "token.pem")),
            title="Notification",
        )

    def new(tenant: str = TENANT, *scopes: str, user: str = "ada") -> TestClient:
        token = issue(
            key,
            tenant=tenant,
            subject=user,
            scopes=scopes,
            now=datetime.now(UTC),
            lifetime=timedelta(minutes=5),
        )
        return TestClient(app(), headers={"authorization": f"Bearer {token}"}, raise_server_exceptions=True)

    return new


def failed(number: int = 1) -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id="r", job=f"job-{number}", namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
    )


def deliver(desk: NotificationDesk, *events: PipelineRunFailed) -> None:
    desk.handle(*(desk.event(event) for event in events))
    companion = desk.app.companions[0]
    companion.start()
    eventually(lambda: set(desk.states()) == {"sent"})
    companion.stop()


def test_history_explanation_and_inbox_are_the_tenants_own(desk: NotificationDesk, client: Client) -> None:
    deliver(desk, failed())
    mine, other = client(), client("globex")
    (found,) = mine.get("/v1/notifications").json()["items"]
    assert found["deliveries"][0]["state"] == "sent"
    assert (
        mine.get(f"/v1/notifications/{found['id']}").json()["deliveries"][0]["trail"][0]["outcome"] == "sent"
    )
    assert mine.get("/v1/events/event-1/explanation").json()["decisions"][0]["outcome"] == "notified"
    assert mine.get("/v1/incidents").json()["items"][0]["state"] == "firing"
    (item,) = mine.get("/v1/inbox?unread=true").json()["items"]
    assert item["subject"] == "A pipeline failed"
    assert mine.post("/v1/inbox/read", json=[item["seq"]]).json() == 1
    assert mine.get("/v1/inbox?unread=true").json()["items"] == []
    assert other.get("/v1/notifications").json()["items"] == []
    assert other.get(f"/v1/notifications/{found['id']}").status_code == 404
    assert other.get("/v1/events/event-1/explanation").status_code == 404
    assert other.get("/v1/inbox").json()["items"] == []


def test_pages_go_on_where_the_last_one_ended(desk: NotificationDesk, client: Client) -> None:
    deliver(desk, *(failed(number) for number in range(5)))
    for path in ("/v1/notifications", "/v1/deliveries", "/v1/incidents", "/v1/inbox"):
        seen: list[object] = []
        after = ""
        for _ in range(3):
            page = client().get(f"{path}?limit=2{after}").json()
            seen += [item["id"] for item in page["items"]]
            after = f"&after={page['next']}"
        assert len(set(map(str, seen))) == len(seen) == 5, path


def test_changes_need_the_scope(desk: NotificationDesk, client: Client) -> None:
    deliver(desk, failed())
    (delivery,) = desk.deliveries()
    assert client().post(f"/v1/deliveries/{delivery.id}/retry").status_code == 403
    assert client().post("/v1/silences", json={}).status_code in (403, 422)
    manager = client(TENANT, "notifications:manage")
    assert manager.post(f"/v1/deliveries/{delivery.id}/retry").status_code == 202
    assert desk.states() == ["pending"]
    assert (
        client("globex", "notifications:manage").post(f"/v1/deliveries/{delivery.id}/retry").status_code
        == 404
    )
    under_way = manager.post(f"/v1/deliveries/{delivery.id}/retry")
    assert (under_way.status_code, "is pending" in under_way.json()["detail"]) == (409, True)


def test_what_is_not_there_is_404(client: Client) -> None:
    manager = client(TENANT, "notifications:manage")
    replay = "replay?since=2026-11-23T07:00:00Z"
    assert manager.post(f"/v1/channels/inbox/{replay}").json() == 0
    for path in (
        "deliveries/none/retry",
        "channels/none/test",
        "channels/none/enable",
        f"channels/none/{replay}",
    ):
        assert manager.post(f"/v1/{path}").status_code == 404, path
    for path in ("silences/none", "secrets/none"):
        assert manager.delete(f"/v1/{path}").status_code == 404, path
    assert "config set --wait" in manager.post("/v1/channels/none/test").json()["detail"]


def test_a_trial_is_told_by_the_channels_name(desk: NotificationDesk, client: Client) -> None:
    desk.set("notification.channels.ops", {"kind": "file"})
    found = client(TENANT, "notifications:manage").post("/v1/channels/ops/test").json()
    assert found["ops"]["outcome"] == "sent"


def test_a_choice_names_its_mode_and_null_takes_it_back(client: Client) -> None:
    ada = client()
    assert ada.put("/v1/preferences", json={"mode": "off"}).status_code == 204
    for body in ({}, {"category": "quality"}):
        assert ada.put("/v1/preferences", json=body).status_code == 422
    assert len(ada.get("/v1/preferences").json()) == 1
    assert ada.put("/v1/preferences", json={"mode": None}).status_code == 204
    assert ada.get("/v1/preferences").json() == []


def test_silences_are_added_listed_and_ended(desk: NotificationDesk, client: Client) -> None:
    manager = client(TENANT, "notifications:manage")
    body = {"matches": {"rules": ["pipeline-failed"]}, "minutes": 60, "comment": "moving house"}
    added = manager.post("/v1/silences", json=body).json()
    assert [one["id"] for one in manager.get("/v1/silences").json()] == [added["id"]]
    assert client("globex").get("/v1/silences").json() == []
    assert manager.delete(f"/v1/silences/{added['id']}").status_code == 204
    assert manager.get("/v1/silences").json() == []
    assert manager.post("/v1/silences", json=body | {"matches": {"rulez": []}}).status_code == 422


def test_a_silence_of_a_rule_that_there_is_not_is_refused(desk: NotificationDesk, client: Client) -> None:
    body = {"matches": {"rules": ["pipeline-faild"]}, "minutes": 60, "comment": "moving house"}
    refused = client(TENANT, "notifications:manage").post("/v1/silences", json=body)
    assert refused.status_code == 422
    assert "there is no rule pipeline-faild; did you mean pipeline-failed" in refused.json()["detail"]
    rule = {"title": "x", "when": {"types": ["pipeline.*"]}, "key": "k", "enabled": False}
    desk.set("notification.rules.pipeline-faild", rule, tenant=TENANT)
    for caller in (client(TENANT, "notifications:manage"), client("system", "operator")):
        assert caller.post("/v1/silences", json=body).status_code == 201, "also while it is disabled"
    assert client("globex", "notifications:manage").post("/v1/silences", json=body).status_code == 422


def test_one_click_unsubscribes_from_one_category_on_one_channel(
    desk: NotificationDesk, client: Client
) -> None:
    link = Unsubscribing.on(desk.store, desk.keys).token(Purpose(TENANT, "ada", "pipeline", "mail"))
    anybody = client()
    anybody.headers.pop("authorization")
    assert anybody.get(f"/v1/unsubscribe/{link}").status_code == 200
    assert client().get("/v1/preferences").json() == [], "a scanner that follows links changes nothing"
    body = {"List-Unsubscribe": "One-Click"}
    assert anybody.post(f"/v1/unsubscribe/{link}", data=body).status_code == 200
    assert client().get("/v1/preferences").json() == [
        {"user": "ada", "category": "pipeline", "channel": "mail", "mode": "off"}
    ]
    assert anybody.post(f"/v1/unsubscribe/{link[:-2]}AA").status_code == 422


def test_a_rule_is_tried_on_the_past(desk: NotificationDesk, client: Client) -> None:
    now = datetime.now(UTC)
    at = (now - desk.now).total_seconds() - 60
    desk.now = now
    desk.handle(desk.event(failed(1), at=at), desk.event(failed(2), at=at))
    rule = {"title": "x", "when": {"types": ["pipeline.*"]}, "key": "{{ data.namespace }}"}
    found = client().post("/v1/rules/dry-run", json=rule).json()
    assert (found["events"], found["fires"], found["incidents"]) == (2, 2, 1)
    assert client().post("/v1/rules/dry-run", json=rule | {"key": "{{ oops }}"}).status_code == 422


async def first(desk: NotificationDesk) -> bytes:
    async for part in events_after(desk.context, tenant=TENANT, user="ada", start=0):
        if part.startswith(b"id:"):
            return part
    raise AssertionError


def test_the_stream_brings_what_comes(desk: NotificationDesk) -> None:
    import asyncio

    deliver(desk, failed())
    part = asyncio.run(first(desk)).decode()
    lines = dict(line.split(": ", 1) for line in part.strip().splitlines())
    assert lines["event"] == "notification"
    assert msgspec.json.decode(lines["data"])["subject"] == "A pipeline failed"


def test_secrets_go_in_and_not_out(desk: NotificationDesk, client: Client) -> None:
    manager = client(TENANT, "notifications:manage")
    assert manager.put("/v1/secrets/ops", json={"value": "whsec_short"}).status_code == 422
    assert manager.put("/v1/secrets/ops", json={"value": "hunter22hunter22"}).status_code == 204
    assert b"hunter22" not in (desk.directory.parent / "service.db").read_bytes()
    assert manager.get("/v1/secrets/ops").status_code == 405
    assert manager.delete("/v1/secrets/ops").status_code == 204
    assert client().put("/v1/address", json={"address": "ada@acme.example"}).status_code == 204
