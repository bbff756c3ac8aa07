"""Signatures that receivers accept, and what each kind of answer means."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from trunkline.services.notification.channels import Message
from trunkline.services.notification.channels.addresses import Guard
from trunkline.services.notification.channels.webhook import Connections, WebhookWay
from trunkline.services.notification.vault import new_signing_secret
from trunkline.testing.consuming import eventually
from trunkline.testing.webhook_sink import Answer, WebhookSink

MESSAGE = Message(
    id="delivery-1",
    notification="n-1",
    tenant="acme",
    channel="hook",
    target="",
    kind="alert",
    rule="r",
    title="t",
    severity="error",
    category="c",
    time_us=1_700_000_000_000_000,
    subject="s",
    text="ü",
)


@contextmanager
def way(url: str, *secrets: str, guard: Guard | None = None) -> Iterator[WebhookWay]:
    connections = Connections()
    yield WebhookWay(
        url,
        secrets or [new_signing_secret()],
        guard=guard or Guard(["127.0.0.0/8"]),
        connections=connections,
    )
    connections.close()


def test_a_receiver_with_either_secret_accepts_it() -> None:
    """While a secret is rotated, receivers have the old one or the new one."""
    new, old = new_signing_secret(), new_signing_secret()
    with WebhookSink() as sink, way(sink.url, new, old) as sending:
        assert sending.send(MESSAGE).outcome == "sent"
    (request,) = sink.requests
    for secret in (new, old):
        assert Webhook(secret).verify(request.body, dict(request.headers))["data"]["text"] == "ü"
    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret()).verify(request.body, dict(request.headers))


@pytest.mark.parametrize(
    ("answer", "outcome", "detail"),
    [
        (Answer(200), "sent", None),
        (Answer(301, {"location": "http://127.0.0.1:1/"}), "retry", "redirect"),
        (Answer(400), "retry", "400"),
        (Answer(410), "gone", "410"),
        (Answer(500), "retry", "500"),
        (Answer(cut=True), "retry", "no answer"),
    ],
)
def test_an_answer_means_what_the_standard_says(answer: Answer, outcome: str, detail: str | None) -> None:
    with WebhookSink(lambda _: answer) as sink, way(sink.url) as sending:
        result = sending.send(MESSAGE)
    assert result.outcome == outcome
    assert len(sink.requests) == 1, "a redirect is not followed, and what is cut off is not repeated"
    if detail is not None:
        assert detail in str(result.detail)


def test_retry_after_is_passed_on() -> None:
    with WebhookSink(lambda _: Answer(429, {"retry-after": "33"})) as sink, way(sink.url) as sending:
        assert sending.send(MESSAGE).retry_after_s == 33


def test_connections_are_kept() -> None:
    with WebhookSink(lambda _: Answer(200)) as sink, way(sink.url) as sending:
        assert {sending.send(MESSAGE).outcome for _ in range(5)} == {"sent"}
        assert sink.connections == 1


def test_a_kept_connection_that_has_ended_is_replaced() -> None:
    sink = WebhookSink()
    with way(sink.url) as sending:
        assert sending.send(MESSAGE).outcome == "sent"
        sink.close()
        with WebhookSink(port=sink.port) as other:
            assert sending.send(MESSAGE).outcome == "sent"
            assert len(other.requests) == 1


def test_what_is_inside_is_not_reached() -> None:
    with WebhookSink() as sink, way(sink.url, guard=Guard()) as sending:
        result = sending.send(MESSAGE)
    assert result.outcome == "retry"
    assert "not a public address" in str(result.detail)
    assert not sink.requests


def test_nobody_listening_is_a_failure_like_others() -> None:
    with way("http://127.0.0.1:1/") as sending:
        assert sending.send(MESSAGE).outcome == "retry"


def test_a_receiver_that_holds_on_for_too_long_is_cut_off() -> None:
    """A time-out is for one read; this bound is for the attempt."""
    moments: list[float] = [0.0]
    connections = Connections(monotonic=lambda: moments[0])
    with WebhookSink(lambda _: Answer(200, delay_s=60)) as sink:
        sending = WebhookWay(
            sink.url, [new_signing_secret()], guard=Guard(["127.0.0.0/8"]), connections=connections
        )
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(sending.send(MESSAGE)))
        thread.start()
        eventually(lambda: len(sink.requests) == 1)
        moments[0] = 16.0
        connections.end_overdue()
        thread.join(10)
    assert results[0].outcome == "retry"
