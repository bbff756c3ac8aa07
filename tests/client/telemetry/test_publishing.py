"""The span of one event on its way to the log."""

from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.delivery import Delivered
from trunkline.client.errors import DeliveryRejected, DeliveryUnknown
from trunkline.client.telemetry import V1_44, V1_45, PublisherSpans, in_current_trace
from trunkline.client.telemetry.propagation import parse, traceparent_of
from trunkline.codec import Envelope, decode, encode, new_envelope
from trunkline.codec.record import Encoded, Record

TOPIC = "query.execution.events"
ORIGIN = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture
def spans(provider: TracerProvider) -> PublisherSpans:
    return PublisherSpans(provider, client_id="query-engine")


def envelope_of(event: Event, *, traceparent: str | None = None) -> Envelope[Event]:
    return new_envelope(
        event,
        tenant=TenantId("acme"),
        source="/query-engine",
        time=datetime.now(UTC),
        traceparent=traceparent,
    )


def headers_of(encoded: Encoded) -> dict[str, str]:
    return {name: value.decode() for name, value in encoded.headers}


def test_a_span_ends_with_the_outcome_and_says_where_the_event_is(
    spans: PublisherSpans, exported: InMemorySpanExporter, event: Event
) -> None:
    envelope = envelope_of(event)
    sending, _ = spans.start(TOPIC, envelope, encode(envelope))
    assert exported.get_finished_spans() == ()
    sending.end(Delivered(TOPIC, 2, 41))
    (span,) = exported.get_finished_spans()
    assert (span.name, span.kind) == (f"send {TOPIC}", SpanKind.PRODUCER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.client.id": "query-engine",
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "2",
        "messaging.message.id": envelope.id,
        "messaging.kafka.message.key": "acme",
        "messaging.kafka.offset": 41,
        "cloudevents.event_type": "query.completed.v1",
        "cloudevents.event_source": "/query-engine",
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.schema_url == V1_44.schema_url


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (DeliveryRejected("MSG_SIZE_TOO_LARGE", "too large"), "MSG_SIZE_TOO_LARGE"),
        (DeliveryUnknown("nobody answered"), "unknown"),
    ],
)
def test_an_event_that_did_not_arrive_is_an_error_of_its_kind(
    spans: PublisherSpans,
    exported: InMemorySpanExporter,
    event: Event,
    outcome: DeliveryRejected | DeliveryUnknown,
    kind: str,
) -> None:
    envelope = envelope_of(event)
    sending, _ = spans.start(TOPIC, envelope, encode(envelope))
    sending.end(outcome)
    sending.end(Delivered(TOPIC, 0, 0))
    (span,) = exported.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == kind


def test_a_new_event_begins_its_trace_and_the_decoder_keeps_only_the_origin(
    spans: PublisherSpans, exported: InMemorySpanExporter, event: Event
) -> None:
    encoded = encode(envelope_of(event))
    sending, envelope = spans.start(TOPIC, envelope_of(event), encoded)
    sending.end(Delivered(TOPIC, 0, 0))
    headers = headers_of(encoded)
    assert envelope.traceparent == headers["ce_traceparent"]
    (span,) = exported.get_finished_spans()
    assert span.context is not None
    assert headers["ce_traceparent"] == headers["traceparent"] == traceparent_of(span.context)
    decoded = decode(Record(TOPIC, 0, 0, 0, encoded.key, encoded.value, tuple(encoded.headers)))
    assert decoded.traceparent == headers["traceparent"]
    assert decoded.extensions == {}


def test_without_a_span_around_it_an_event_continues_its_origin(
    spans: PublisherSpans, exported: InMemorySpanExporter, event: Event
) -> None:
    envelope = envelope_of(event, traceparent=ORIGIN)
    encoded = encode(envelope)
    spans.start(TOPIC, envelope, encoded)[0].end(Delivered(TOPIC, 0, 0))
    (span,) = exported.get_finished_spans()
    origin = parse(ORIGIN)
    assert origin is not None
    assert span.parent == origin
    assert headers_of(encoded)["ce_traceparent"] == ORIGIN
    assert headers_of(encoded)["traceparent"] != ORIGIN


def test_within_a_span_an_event_belongs_to_it_and_links_to_its_origin(
    provider: TracerProvider, spans: PublisherSpans, exported: InMemorySpanExporter, event: Event
) -> None:
    with provider.get_tracer("test").start_as_current_span("process") as around:
        envelope = envelope_of(event, traceparent=ORIGIN)
        spans.start(TOPIC, envelope, encode(envelope))[0].end(Delivered(TOPIC, 0, 0))
        outboxed = in_current_trace(envelope_of(event))
        assert in_current_trace(outboxed) is outboxed
        spans.start(TOPIC, outboxed, encode(outboxed))[0].end(Delivered(TOPIC, 0, 1))
    linked, own, _ = exported.get_finished_spans()
    assert linked.parent == own.parent == around.get_span_context()
    assert [traceparent_of(link.context) for link in linked.links] == [ORIGIN]
    assert list(own.links) == []
    assert outboxed.traceparent == traceparent_of(around.get_span_context())
    assert in_current_trace(envelope).traceparent == ORIGIN
    untraced = envelope_of(event)
    assert in_current_trace(untraced) is untraced


def test_the_coming_names_are_one_switch_away(
    provider: TracerProvider, exported: InMemorySpanExporter, event: Event
) -> None:
    spans = PublisherSpans(provider, client_id="query-engine", names=V1_45)
    envelope = envelope_of(event)
    spans.start(TOPIC, envelope, encode(envelope))[0].end(Delivered(TOPIC, 0, 5))
    (span,) = exported.get_finished_spans()
    attributes = span.attributes or {}
    assert attributes["messaging.system.name"] == "kafka"
    assert attributes["kafka.message.key"] == "acme"
    assert attributes["kafka.offset"] == 5
    assert not [name for name in attributes if name.startswith("messaging.kafka.")]
