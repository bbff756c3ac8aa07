"""What becomes of events: told, grouped, silenced, inhibited, too late; and why."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from trunkline.catalogue.events.pipeline import PipelineRunCompleted, PipelineRunFailed
from trunkline.catalogue.events.quality import AnomalyDetected, AnomalyResolved, QualityCheckFailed
from trunkline.catalogue.events.tenant import TenantCreated, TenantReactivated, TenantSuspended
from trunkline.catalogue.events.usage import UsageQuotaExceeded
from trunkline.client.handler import Received
from trunkline.services.notification import actions, silence_rows
from trunkline.services.notification.silences import Matches
from trunkline.testing.consuming import eventually
from trunkline.testing.notification_desk import START, TENANT, NotificationDesk

RULE: dict[str, Any] = {
    "title": "A pipeline failed",
    "when": {"types": ["pipeline.run_failed.v1"]},
    "resolved_by": {"types": ["pipeline.run_completed.v1"]},
    "key": "{{ data.job }}",
    "group_by": "{{ data.namespace }}",
    "group_wait_s": 30,
    "severity": "error",
    "category": "pipeline",
}


def failed(job: str = "orders", number: int = 1) -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id=f"run-{number}", job=job, namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
    )


def completed(job: str = "orders") -> PipelineRunCompleted:
    return PipelineRunCompleted(run_id="run-9", job=job, namespace="dwh", duration_ms=1)


def check(severity: Any = "error", asset: str = "urn:table:orders") -> QualityCheckFailed:
    return QualityCheckFailed(check_id="c-1", asset=asset, dimension="volume", severity=severity)


def anomaly(asset: str = "urn:table:orders") -> AnomalyDetected:
    return AnomalyDetected(
        anomaly_id="an-1", asset=asset, metric="rows", observed=1, expected_low=2, expected_high=3, score=0.95
    )


def cleared() -> AnomalyResolved:
    return AnomalyResolved(anomaly_id="an-1", asset="urn:table:orders", metric="rows", lasted_ms=1)


def suspended() -> TenantSuspended:
    return TenantSuspended(name=TENANT, reason_code="overdue", actor_id="billing")


def test_a_failed_pipeline_is_told_once_and_its_end_as_well(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()), desk.event(failed(number=2), at=400))
    assert desk.outcomes("event-1") == {"pipeline-failed": "notified"}
    assert desk.outcomes("event-2") == {"pipeline-failed": "repeat"}
    with desk.sending():
        eventually(lambda: desk.states() == ["sent", "suppressed"])
    desk.now += timedelta(seconds=1)
    desk.handle(desk.event(completed(), at=500))
    with desk.sending():
        eventually(lambda: desk.states() == ["sent", "sent", "suppressed"])
    assert [one.kind for one in desk.history()] == ["alert", "alert", "resolved"]


def test_what_is_resolved_before_it_is_sent_is_not_told(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()), desk.event(completed(), at=1))
    assert desk.outcomes("event-1") == {"pipeline-failed": "resolved"}
    desk.handle(desk.event(failed("users"), at=2))
    desk.handle(desk.event(completed("users"), at=3))
    assert {delivery.reason for delivery in desk.deliveries()} == {"resolved"}
    with desk.sending():
        pass
    assert desk.states() == ["suppressed", "suppressed"]


def test_a_resolution_that_comes_first_closes_the_incident_on_arrival(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.handle(desk.event(cleared(), at=10))
    desk.handle(desk.event(anomaly(), at=5))
    assert desk.outcomes("event-2") == {"quality-anomaly": "resolved"}
    assert desk.states() == ["suppressed"]


def test_incidents_of_a_group_and_window_share_a_notification(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.set("notification.rules.pipeline-failed", RULE)
    desk.handle(desk.event(failed("a")), desk.event(failed("b"), at=1))
    desk.handle(desk.event(failed("c"), at=2))
    assert [desk.outcomes(f"event-{n}")["pipeline-failed"] for n in (1, 2, 3)] == [
        "notified",
        "grouped",
        "grouped",
    ]
    with desk.sending():
        pass
    assert desk.states() == ["pending"], "the group waits for more"
    desk.now += timedelta(seconds=31)
    with desk.sending():
        eventually(lambda: desk.states() == ["sent"])
    (notification,) = desk.history()
    assert notification.subject == "A pipeline failed (3)"


def test_what_comes_too_late_for_a_window_is_told_by_an_update(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.set("notification.rules.pipeline-failed", RULE | {"group_wait_s": 0})
    desk.handle(desk.event(failed("a")))
    with desk.sending():
        eventually(lambda: desk.states() == ["sent"])
    desk.handle(desk.event(failed("b"), at=1))
    desk.handle(desk.event(failed("c"), at=2))
    assert [one.kind for one in desk.history()] == ["alert", "update"]
    desk.now += timedelta(seconds=301)
    with desk.sending():
        eventually(lambda: desk.states() == ["sent", "sent"])
    assert desk.history()[1].subject == "A pipeline failed (2)"
    desk.handle(desk.event(failed("d"), at=3))
    assert [one.kind for one in desk.history()] == ["alert", "update", "update"]


@pytest.mark.parametrize(
    ("extensions", "later", "outcome"),
    [
        ({}, timedelta(days=2), "too_old"),
        ({"expirytime": "2026-11-23T07:30:00Z"}, timedelta(hours=1), "expired"),
        ({"expirytime": "2026-11-23T07:30:00Z"}, timedelta(minutes=1), "notified"),
        ({"expirytime": "soon"}, timedelta(minutes=1), "notified"),
    ],
)
def test_old_events_make_history_and_are_not_sent(
    desk: NotificationDesk, extensions: dict[str, str], later: timedelta, outcome: str
) -> None:
    desk.now += later
    desk.handle(desk.event(failed(), extensions=extensions))
    assert desk.outcomes("event-1") == {"pipeline-failed": outcome}
    assert desk.states() == ["pending" if outcome == "notified" else "suppressed"]


def test_a_silence_covers_what_it_matches_until_it_ends(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    with desk.writing() as tx:
        silence = actions.add_silence(
            tx,
            TENANT,
            Matches(rules=("pipeline-failed",), where={"job": "orders"}),
            ends=START + timedelta(hours=1),
            actor="ada",
            comment="moving house",
            now_us=desk.now_us,
        )
    desk.handle(desk.event(failed()), desk.event(failed("users")))
    assert desk.outcomes("event-1") == {"pipeline-failed": "silenced"}
    assert "moving house" in desk.explain("event-1").decisions[0].why
    assert desk.outcomes("event-2") == {"pipeline-failed": "notified"}
    with desk.writing() as tx:
        silence_rows.end(tx, silence.id, tenant=TENANT, now_us=desk.now_us + 1)
    desk.now += timedelta(seconds=1)
    desk.handle(desk.event(failed(), at=1))
    assert desk.outcomes("event-3") == {"pipeline-failed": "notified"}


def test_an_incident_that_says_more_inhibits(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.handle(desk.event(check()), desk.event(anomaly()))
    assert desk.outcomes("event-2") == {"quality-anomaly": "inhibited"}
    desk.handle(desk.event(anomaly("urn:table:users"), at=1))
    assert desk.outcomes("event-3") == {"quality-anomaly": "notified"}


def test_a_rule_says_why_it_is_not_concerned(desk: NotificationDesk) -> None:
    desk.handle(desk.event(check("warning")))
    explained = desk.explain("event-1")
    assert explained.decisions == []
    assert explained.not_concerned["quality-check-failed"] == (
        'severity is "warning", wanted one of error, critical'
    )
    assert "it is about" in explained.not_concerned["pipeline-failed"]


def test_of_a_suspended_tenant_only_the_suspension_is_told(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()))
    desk.handle(desk.event(suspended(), at=1))
    desk.handle(desk.event(failed("users"), at=2))
    assert desk.outcomes("event-2") == {"tenant-suspended": "notified"}
    assert desk.outcomes("event-3") == {"pipeline-failed": "suspended"}
    assert {one.rule: one.deliveries[0].state for one in desk.history() if one.rule == "pipeline-failed"} == {
        "pipeline-failed": "suppressed"
    }
    with desk.sending():
        eventually(lambda: desk.states() == ["sent", "suppressed", "suppressed"])
    desk.handle(desk.event(TenantReactivated(name=TENANT, actor_id="billing"), at=3))
    desk.handle(desk.event(failed("users"), at=4))
    assert desk.outcomes("event-5") == {"pipeline-failed": "notified"}


def test_personal_data_is_not_kept(desk: NotificationDesk) -> None:
    created = TenantCreated(
        name=TENANT, tier="free", region="eu", actor_id="u", admin_email="ada@acme.example"
    )
    desk.handle(desk.event(created))
    assert b"ada@acme" not in (desk.directory.parent / "service.db").read_bytes()


def test_a_bad_rule_that_arrives_changes_nothing_and_is_seen(desk: NotificationDesk) -> None:
    desk.set("notification.rules.pipeline-failed", {"title": "?"})
    desk.handle(desk.event(failed()))
    assert desk.outcomes("event-1") == {"pipeline-failed": "notified"}
    ((at, reason),) = desk.configuration.refused.items()
    assert at == (None, "notification.rules.pipeline-failed")
    assert "when" in reason


def test_a_rule_that_cannot_be_applied_to_an_event_is_seen_and_stops_nothing(desk: NotificationDesk) -> None:
    """`facets` is free: what the example of the type has, an event need not have."""
    rule = RULE | {"key": "{{ data.job }}{% if data.attempt > 2 %}{{ data.facets.owner }}{% endif %}"}
    desk.set("notification.rules.mine", {name: rule[name] for name in rule if name != "resolved_by"})
    event = PipelineRunFailed(
        run_id="r", job="j", namespace="n", duration_ms=1, error_code="x", message="y", attempt=3
    )
    desk.handle(desk.event(event))
    assert desk.outcomes("event-1") == {"mine": "failed", "pipeline-failed": "notified"}


def test_a_digest_gathers_what_a_window_brings(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.set("notification.preferences", [{"mode": "digest", "category": "pipeline"}])
    desk.handle(desk.event(failed("a")), desk.event(failed("b"), at=1))
    desk.handle(desk.event(check(), at=2))
    digests = [one for one in desk.history() if one.kind == "digest"]
    assert len(digests) == 1
    desk.now += timedelta(days=1)
    with desk.sending():
        eventually(lambda: desk.states().count("sent") == 2)
    (digest,) = [one for one in desk.history() if one.kind == "digest"]
    assert digest.subject == "Digest: 2 notifications about pipeline"
    late = desk.event(failed("c"), at=3)
    desk.now = START + timedelta(hours=23)
    desk.handle(late)
    assert [one.kind for one in desk.history()].count("digest") == 2, "what comes late goes into another one"


def test_a_user_who_wants_nothing_gets_nothing(desk: NotificationDesk) -> None:
    desk.set("notification.channels.inbox", {"kind": "inbox", "users": ["ada", "bob"]})
    with desk.writing() as tx:
        actions.prefer(tx, TENANT, "ada", category="pipeline", channel=None, mode="off", now_us=1)
    desk.handle(desk.event(failed()))
    assert {one.target: (one.state, one.reason) for one in desk.deliveries()} == {
        "ada": ("suppressed", "preference"),
        "bob": ("pending", None),
    }


def test_a_channel_takes_what_it_asks_for(desk: NotificationDesk) -> None:
    desk.set("notification.channels.log", {"kind": "file", "takes": {"severity_at_least": "critical"}})
    desk.handle(desk.event(failed()), desk.event(suspended(), at=1))
    assert [one.channel for one in desk.deliveries("log")] == ["log"]


def test_a_tenants_rule_goes_before_everybodys(desk: NotificationDesk) -> None:
    desk.set("notification.rules.pipeline-failed", RULE | {"enabled": False}, tenant=TENANT)
    desk.handle(desk.event(failed()), desk.event(failed(), tenant="globex"))
    assert desk.outcomes("event-1") == {}
    assert desk.states() == ["pending"]


def everything(desk: NotificationDesk) -> list[Received]:
    """A life in which order across topics matters most; each topic's events in their order."""
    quota = UsageQuotaExceeded(meter="TOKENS", period="2026-11", used="2", limit="1", unit="t")
    return [
        desk.event(failed("a"), at=1),
        desk.event(failed("b"), at=2),
        desk.event(completed("a"), at=3),
        desk.event(failed("a"), at=400),
        desk.event(check(), at=5),
        desk.event(anomaly(), at=6),
        desk.event(cleared(), at=7),
        desk.event(check(), at=8),
        desk.event(suspended(), at=9),
        desk.event(TenantReactivated(name=TENANT, actor_id="x"), at=10),
        desk.event(quota, at=11),
    ]


def test_any_order_and_repetition_comes_to_the_same(new_desk: Callable[..., NotificationDesk]) -> None:
    """Any order at all, not only what topics guarantee: what failed may be replayed much later."""
    wide = RULE | {"when": {"types": ["*"], "where": {}}, "key": "all", "group_by": "all"}
    wide |= {"resolved_by": {"types": ["tenant.reactivated.v1"], "where": {"actor_id": "x"}}}
    digests = set()
    for seed in range(3):
        desk = new_desk()
        with desk.store.write() as tx:
            assert desk.app.eraser is not None
            desk.app.eraser.erase(tx, TENANT)
        desk.set("notification.rules.wide", wide)
        desk.set("notification.channels.inbox", {"kind": "inbox", "users": ["ada", "bob"]})
        chance = random.Random(seed)
        events = everything(desk)
        events = chance.sample([*events, *chance.sample(events, 4)], k=len(events) + 4) if seed else events
        while events:
            size = chance.randint(1, 5)
            desk.handle(*events[:size])
            events = events[size:]
        digests.add(desk.digest())
    assert len(digests) == 1


def test_nothing_of_an_ended_tenant_is_left(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.set("notification.channels.log", {"kind": "file", "takes": {}})
    desk.keep_secret("mine", owner=TENANT)
    desk.handle(*everything(desk))
    desk.now += timedelta(minutes=1)
    with desk.sending():
        eventually(lambda: not {"pending", "leased"} & set(desk.states("log")))
    assert list((desk.directory / "notifications").iterdir())
    assert desk.app.eraser is not None
    with desk.writing() as tx:
        counts = desk.app.eraser.erase(tx, TENANT)
    assert counts["notification_event"] == 11
    assert counts["notification_secret"] == 1
    assert desk.states() == []
    assert not list((desk.directory / "notifications").iterdir())
