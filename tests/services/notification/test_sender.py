"""Deliveries go out once, are tried again on schedule, and are never lost between two instances."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.sender import SenderOptions
from trunkline.testing.consuming import eventually
from trunkline.testing.notification_desk import NotificationDesk
from trunkline.testing.webhook_sink import Answer, Request, WebhookSink


def failed(number: int = 1) -> PipelineRunFailed:
    return PipelineRunFailed(
        run_id=f"run-{number}",
        job=f"job-{number}",
        namespace="warehouse",
        duration_ms=1,
        error_code="boom",
        message="it broke",
    )


def test_a_webhook_is_signed_and_says_what_happened(new_desk: Callable[..., NotificationDesk]) -> None:
    desk = new_desk()
    with WebhookSink() as sink:
        secret = desk.webhook(sink.url)
        desk.handle(desk.event(failed()))
        with desk.sending():
            eventually(lambda: desk.states("hook") == ["sent"])
        (request,) = sink.requests
    assert request.id == desk.deliveries("hook")[0].id
    # The desk's clock is not the world's, so the age of the signature is not looked at.
    signed = Webhook(secret).sign(request.id, desk_time(request), request.body.decode())
    assert request.headers["webhook-signature"] == signed
    payload = request.json()
    assert payload["type"] == "notification.alert"
    assert payload["data"]["subject"] == "A pipeline failed"
    assert payload["data"]["items"][0]["data"]["job"] == "job-1"
    assert desk.states("inbox") == ["sent"]


def desk_time(request: Request):  # type: ignore[no-untyped-def]
    from datetime import UTC, datetime

    return datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)


def test_a_failed_delivery_is_tried_again_with_the_same_id(desk: NotificationDesk) -> None:
    answers = iter([500, 302, 204])
    with WebhookSink(lambda _: Answer(next(answers))) as sink:
        desk.webhook(sink.url)
        desk.handle(desk.event(failed()))
        with desk.sending():
            for tries in (1, 2, 3):
                eventually(lambda tries=tries: len(sink.requests) == tries)  # type: ignore[misc]
                eventually(lambda: desk.states("hook") != ["leased"])
                desk.now += timedelta(seconds=1)
            eventually(lambda: desk.states("hook") == ["sent"])
        assert len({request.id for request in sink.requests}) == 1
        assert len({request.body for request in sink.requests}) == 1


def test_after_the_last_attempt_it_is_dead_and_its_trail_is_kept(desk: NotificationDesk) -> None:
    with WebhookSink(lambda _: Answer(503)) as sink:
        desk.webhook(sink.url)
        desk.handle(desk.event(failed()))
        with desk.sending():
            for tries in (1, 2, 3):
                eventually(lambda tries=tries: len(sink.requests) == tries)  # type: ignore[misc]
                eventually(lambda: desk.states("hook") != ["leased"])
                desk.now += timedelta(seconds=1)
        (delivery,) = desk.deliveries("hook")
        assert (delivery.state, delivery.reason) == ("dead", "exhausted")
        assert delivery.attempts == 3


@pytest.mark.parametrize("number", [1, 40])
def test_two_instances_share_the_work_and_double_nothing(
    new_desk: Callable[..., NotificationDesk], number: int
) -> None:
    options = SenderOptions(threads=4, endpoint_max=3, poll_s=0.002, schedule=Schedule())
    one, other = (new_desk(instance=name, options=options) for name in ("one", "other"))
    with WebhookSink() as sink:
        for desk in (one, other):
            desk.webhook(sink.url)
        one.handle(*(one.event(failed(each)) for each in range(number)))
        with one.sending(), other.sending():
            eventually(lambda: set(one.states()) == {"sent"})
        assert len(sink.requests) == len({request.id for request in sink.requests}) == number
