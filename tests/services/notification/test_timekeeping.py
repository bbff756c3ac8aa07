"""What is open is told of again, and what is old is forgotten."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, select

from trunkline.catalogue.events.pipeline import PipelineRunCompleted, PipelineRunFailed
from trunkline.services.notification.tables import DECISION, DELIVERY, EVENT, INCIDENT, ITEM, NOTIFICATION
from trunkline.services.notification.timekeeping import Timekeeper
from trunkline.testing.notification_desk import NotificationDesk


def failed() -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id="run-1", job="orders", namespace="dwh", duration_ms=1, error_code="boom", message="it broke"
    )


def timekeeper(desk: NotificationDesk) -> Timekeeper:
    companion = desk.app.companions[1]
    assert isinstance(companion, Timekeeper)
    return companion


def kinds(desk: NotificationDesk) -> list[str]:
    return [one.kind for one in desk.history()]


def test_an_open_incident_is_told_of_again_until_it_is_over(
    new_desk: Callable[..., NotificationDesk],
) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()))
    assert timekeeper(desk).remind() == 0
    desk.now += timedelta(hours=4)
    assert timekeeper(desk).remind() == 1
    assert timekeeper(desk).remind() == 0
    assert kinds(desk) == ["alert", "repeat"]
    desk.now += timedelta(hours=1)
    done = PipelineRunCompleted(run_id="run-2", job="orders", namespace="dwh", duration_ms=1)
    desk.handle(desk.event(done, at=5 * 3_600))
    desk.now += timedelta(hours=4)
    assert timekeeper(desk).remind() == 0


def test_a_reminder_respects_that_the_rule_was_switched_off(desk: NotificationDesk) -> None:
    desk.handle(desk.event(failed()))
    rule = {"title": "x", "when": {"types": ["pipeline.run_failed.v1"]}, "key": "k", "enabled": False}
    desk.set("notification.rules.pipeline-failed", rule)
    desk.now += timedelta(hours=4)
    timekeeper(desk).remind()
    assert kinds(desk) == ["alert"]


def test_history_is_dropped_when_it_is_old_enough(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    desk.handle(desk.event(failed()))
    desk.now += timedelta(days=89)
    assert timekeeper(desk).clean() == 0
    desk.now += timedelta(days=2)
    assert timekeeper(desk).clean()
    with desk.store.read() as tx:
        for table in (EVENT, DECISION, NOTIFICATION, ITEM, DELIVERY):
            assert tx.scalar(select(func.count()).select_from(table)) == 0, table.name
        assert tx.scalar(select(func.count()).select_from(INCIDENT)) == 1, "what is open is not forgotten"
