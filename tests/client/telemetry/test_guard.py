"""Telemetry that raises, wherever it can: events do not notice."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import Tracer
from structlog.testing import capture_logs

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.delivery import Delivered
from trunkline.client.errors import CommitRefused
from trunkline.client.handler import Refusal
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store
from trunkline.client.telemetry import ConsumerSpans, PublisherSpans
from trunkline.client.telemetry.propagation import span_context_in, traceparent_of
from trunkline.codec import encode, new_envelope
from trunkline.codec.record import Record
from trunkline.testing.consuming import CountingHandler, effects, eventually, running

TOPIC = "query.execution.events"
ORIGIN = "00-11111111111111111111111111111111-2222222222222222-01"


class BrokenProcessor(SpanProcessor):
    """Raises when a span starts or when it ends."""

    def __init__(self, *, at_start: bool) -> None:
        self._at_start = at_start

    def on_start(self, span: ReadableSpan, parent_context: Context | None = None) -> None:  # noqa: ARG002
        if self._at_start:
            raise ValueError("a processor of the application's")

    def on_end(self, span: ReadableSpan) -> None:  # noqa: ARG002 - as in SpanProcessor
        raise ValueError("a processor of the application's")


class BrokenSampler(Sampler):
    def should_sample(self, *args: Any, **options: Any) -> Any:  # noqa: ARG002 - as in Sampler
        raise ValueError("a sampler of the application's")

    def get_description(self) -> str:
        return "broken"


class BrokenProvider(TracerProvider):
    def get_tracer(self, *args: Any, **options: Any) -> Tracer:  # noqa: ARG002 - as in TracerProvider
        raise ValueError("a provider of the application's")


def with_processor(*, at_start: bool) -> TracerProvider:
    made = TracerProvider(shutdown_on_exit=False)
    made.add_span_processor(BrokenProcessor(at_start=at_start))
    return made


BROKEN: dict[str, Callable[[], TracerProvider]] = {
    "start": lambda: with_processor(at_start=True),
    "end": lambda: with_processor(at_start=False),
    "sampler": lambda: TracerProvider(sampler=BrokenSampler(), shutdown_on_exit=False),
    "provider": lambda: BrokenProvider(shutdown_on_exit=False),
}


@pytest.fixture(params=BROKEN)
def broken(request: pytest.FixtureRequest) -> TracerProvider:
    return BROKEN[request.param]()


def record(offset: int) -> Record:
    return Record(TOPIC, 1, offset, 0, b"acme", b"{}", (("traceparent", ORIGIN.encode()),))


def test_no_span_of_a_consumer_raises_and_the_trouble_is_told_once(broken: TracerProvider) -> None:
    with capture_logs() as told:
        spans = ConsumerSpans(broken, group="g", client_id="c")
        for number in range(3):
            spans.polled([record(number)], began_ns=time.time_ns())
            with spans.processing([record(number)]) as batch:
                batch.came_to(duplicates=0, refused=[(record(number), Refusal("handler", "no"))])
            with spans.committing({(TOPIC, 1): number + 1}):
                pass
    (line,) = told
    assert line["log_level"] == "error"
    assert "of the application's" in line["error"]


def test_what_is_raised_inside_a_span_is_raised_as_it_is(broken: TracerProvider) -> None:
    spans = ConsumerSpans(broken, group="g", client_id="c")
    with pytest.raises(KeyError, match="handler"), spans.processing([record(0)]):
        raise KeyError("handler")
    with pytest.raises(CommitRefused), spans.committing({(TOPIC, 1): 1}):
        raise CommitRefused("ILLEGAL_GENERATION", rebalance=True)


def test_no_span_of_a_publisher_raises_and_its_event_still_continues_the_trace(
    broken: TracerProvider, event: Event
) -> None:
    with capture_logs() as told:
        spans = PublisherSpans(broken, client_id="c")
        for _ in range(3):
            envelope = new_envelope(
                event, tenant=TenantId("acme"), source="/x", time=datetime.now(UTC), traceparent=ORIGIN
            )
            encoded = encode(envelope)
            sending, _ = spans.start(TOPIC, envelope, encoded)
            sending.end(Delivered(TOPIC, 0, 0))
            headers = dict(encoded.headers)
            assert headers["traceparent"].split(b"-")[1] == ORIGIN.split("-")[1].encode()
    assert len(told) == 1


def test_a_batch_whose_span_cannot_be_made_is_still_in_the_trace_of_its_event() -> None:
    spans = ConsumerSpans(BROKEN["start"](), group="g", client_id="c")
    with spans.processing([record(0)]):
        found = span_context_in(trace.set_span_in_context(trace.get_current_span(), Context()))
    assert found is not None
    assert traceparent_of(found) == ORIGIN


def test_a_propagator_that_raises_keeps_no_event_from_being_sent(
    provider: TracerProvider, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inject(*args: Any, **options: Any) -> None:
        raise ValueError("a propagator of the application's")

    monkeypatch.setattr(propagate, "inject", inject)
    envelope = new_envelope(event, tenant=TenantId("acme"), source="/x", time=datetime.now(UTC))
    sending, sent = PublisherSpans(provider, client_id="c").start(TOPIC, envelope, encode(envelope))
    sending.end(Delivered(TOPIC, 0, 0))
    assert sent.traceparent is not None


def test_events_are_published_and_have_their_effects_while_telemetry_fails(
    *,
    broken: TracerProvider,
    connection: ConnectionOptions,
    catalogue: Catalogue,
    event: Event,
    store: Store,
    unique: Callable[[str], str],
) -> None:
    """Commits are answered, and their spans end, inside a callback of the Kafka library."""
    runtime = ConsumerRuntime(
        service="audit-service",
        topics=[TOPIC],
        handler=CountingHandler(store),
        store=store,
        connection=connection,
        options=ConsumerOptions(group=unique("broken"), session_timeout_ms=6_000),
        tracer_provider=broken,
    )
    with (
        Publisher(
            service="query-engine", connection=connection, catalogue=catalogue, tracer_provider=broken
        ) as publisher,
        running(runtime),
    ):
        delivery = publisher.publish(event, tenant=unique("tenant"))
        assert delivery.result(10).offset >= 0
        eventually(lambda: delivery.event_id in {effect.event_id for effect in effects(store)})
        eventually(lambda: not runtime.not_ready())
        assert runtime.not_live() == []
