"""Deliveries go out once, are tried again on schedule, and are never lost between two instances."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from standardwebhooks import Webhook

from trunkline.catalogue.events.pipeline import PipelineRunFailed
from trunkline.services.notification import actions
from trunkline.services.notification.people import channels
from trunkline.services.notification.schedule import Schedule
from trunkline.services.notification.sender import SenderOptions
from trunkline.services.notification.vault import Vault
from trunkline.testing.consuming import eventually
from trunkline.testing.notification_desk import START, TENANT, NotificationDesk
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


def desk_time(request: Request) -> datetime:
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


def test_410_disables_the_endpoint_until_somebody_enables_it(desk: NotificationDesk) -> None:
    with WebhookSink(lambda _: Answer(410)) as sink:
        desk.webhook(sink.url)
        desk.handle(desk.event(failed(1)))
        with desk.sending():
            eventually(lambda: desk.states("hook") == ["dead"])
        desk.handle(desk.event(failed(2)))
        with desk.sending():
            eventually(lambda: desk.states("hook") == ["dead", "dead"])
        assert len(sink.requests) == 1
        assert {one.reason for one in desk.deliveries("hook")} == {"gone", "endpoint_disabled"}
    with desk.writing() as tx:
        actions.enable_channel(tx, actions.channel_of(desk.configuration, TENANT, "hook"))
    with WebhookSink() as sink:
        desk.webhook(sink.url)
        with desk.writing() as tx:
            number = actions.retry_all(
                tx, TENANT, channel="hook", since=START, until=START + timedelta(days=1), now_us=desk.now_us
            )
        assert number == 2
        with desk.sending():
            eventually(lambda: desk.states("hook") == ["sent", "sent"])


def test_an_endpoint_that_fails_for_days_is_disabled(desk: NotificationDesk) -> None:
    desk.webhook("http://127.0.0.1:1/")
    for day in range(3):
        desk.now = START + timedelta(days=3 * day)
        desk.handle(desk.event(failed(day), at=3 * day * 86_400))
        with desk.sending():
            eventually(
                lambda: "leased" not in desk.states("hook") and bool(desk.deliveries("hook")[0].attempts)
            )
    with desk.store.read() as tx:
        views = {one.name: one for one in channels(tx, desk.configuration, TENANT)}
    assert views["hook"].disabled_at is not None


def test_an_endpoint_that_hangs_does_not_keep_others_waiting(desk: NotificationDesk) -> None:
    """It may have `endpoint_max` threads, and one that fails fewer."""
    with WebhookSink(lambda _: Answer(204, delay_s=60)) as hanging, WebhookSink() as sink:
        desk.webhook(hanging.url, "slow")
        desk.handle(*(desk.event(failed(number)) for number in range(30)))
        desk.unset("notification.channels.slow")
        desk.webhook(hanging.url, "slow")
        desk.webhook(sink.url, "quick")
        desk.handle(*(desk.event(failed(number), at=1, tenant="globex") for number in range(5)))
        companion = desk.app.companions[0]
        companion.start()
        eventually(lambda: len(sink.requests) == 5)
    companion.stop()


def test_a_template_that_fails_makes_the_delivery_dead_and_visible(desk: NotificationDesk) -> None:
    desk.set("notification.templates.default", {"subject": "{{ items[0].data.asset }}", "text": "x"})
    desk.handle(desk.event(failed()))
    with desk.sending():
        eventually(lambda: desk.states() == ["dead"])
    (delivery,) = desk.deliveries()
    assert delivery.reason == "render_failed"
    (attempt,) = desk.explain("event-1").decisions[0].notification.deliveries[0].trail  # type: ignore[union-attr]
    assert "asset" in str(attempt.detail)


def test_a_secret_that_is_missing_is_waited_for(desk: NotificationDesk) -> None:
    with WebhookSink() as sink:
        desk.webhook(sink.url)
        with desk.writing() as tx:
            Vault(desk.store, desk.keys).forget(tx, "system", "hook")
        desk.handle(desk.event(failed()))
        with desk.sending():
            eventually(
                lambda: bool(desk.deliveries("hook")[0].attempts) and desk.states("hook") == ["pending"]
            )
        assert not sink.requests


def test_a_file_gets_a_line_for_each(desk: NotificationDesk) -> None:
    desk.set("notification.channels.log", {"kind": "file", "takes": {}})
    desk.handle(desk.event(failed(1)), desk.event(failed(2)))
    with desk.sending():
        eventually(lambda: desk.states("log") == ["sent", "sent"])
    lines = (desk.directory / "notifications" / TENANT / "log.jsonl").read_bytes().splitlines()
    assert {msgspec.json.decode(line)["id"] for line in lines} == {one.id for one in desk.deliveries("log")}


def test_apprise_is_for_everybodys_channels_alone(desk: NotificationDesk) -> None:
    desk.keep_secret("url", "json://127.0.0.1:1/", owner=TENANT)
    channel = {"kind": "apprise", "urls": ["secret:url"], "takes": {}}
    desk.set("notification.channels.chat", channel, tenant=TENANT)
    desk.handle(desk.event(failed()))
    with desk.sending():
        eventually(lambda: desk.states("chat") == ["dead"])
    assert desk.deliveries("chat")[0].reason == "refused"


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")
def test_apprise_delivers_to_a_real_receiver(desk: NotificationDesk) -> None:
    with WebhookSink(lambda _: Answer(200)) as sink:
        desk.keep_secret("url", f"json://127.0.0.1:{sink.port}/")
        desk.set("notification.channels.chat", {"kind": "apprise", "urls": ["secret:url"], "takes": {}})
        desk.handle(desk.event(failed()))
        with desk.sending():
            eventually(lambda: desk.states("chat") == ["sent"])
        assert sink.requests[0].json()["title"] == "A pipeline failed"
