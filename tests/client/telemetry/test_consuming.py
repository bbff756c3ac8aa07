"""The spans of a consumer: what they are called, what they link to, what is inside them."""

import time

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from trunkline.client.errors import CommitRefused
from trunkline.client.handler import Refusal, RetryLater
from trunkline.client.telemetry import ConsumerSpans
from trunkline.client.telemetry.propagation import traceparent_of
from trunkline.codec.record import Record

TOPIC = "query.execution.events"
PARENTS = [f"00-{number:032x}-{number:016x}-01" for number in range(1, 4)]


@pytest.fixture
def spans(provider: TracerProvider) -> ConsumerSpans:
    return ConsumerSpans(provider, group="audit-service", client_id="audit-service")


def record(offset: int, *headers: tuple[str, bytes | None], topic: str = TOPIC) -> Record:
    return Record(topic, 1, offset, 0, b"acme", b"{}", (("ce_id", b"id-%d" % offset), *headers))


def traced(number: int) -> Record:
    return record(number, ("traceparent", PARENTS[number].encode()))


def test_a_poll_links_to_every_event_it_returned(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    began = time.time_ns() - 1_000_000
    spans.polled([traced(0), record(1, ("traceparent", b"nonsense")), traced(2)], began_ns=began)
    (span,) = exported.get_finished_spans()
    assert (span.name, span.kind, span.start_time) == (f"poll {TOPIC}", SpanKind.CLIENT, began)
    assert [traceparent_of(link.context) for link in span.links] == [PARENTS[0], PARENTS[2]]
    attributes = span.attributes or {}
    assert attributes["messaging.batch.message_count"] == 3
    assert attributes["messaging.operation.type"] == "receive"
    assert attributes["messaging.consumer.group.name"] == "audit-service"


def test_a_poll_of_several_topics_is_named_after_none(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    spans.polled([record(0), record(0, topic="ai.agent.events")], began_ns=time.time_ns())
    (span,) = exported.get_finished_spans()
    assert span.name == "poll"
    assert "messaging.destination.name" not in (span.attributes or {})


def test_a_batch_has_links_and_no_parent_and_is_current_inside(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    with spans.processing([traced(0), traced(1)]) as batch:
        inside = trace.get_current_span().get_span_context()
        batch.came_to(duplicates=1, refused=[(traced(1), Refusal("handler", "a secret of the tenant"))])
    assert not trace.get_current_span().get_span_context().is_valid
    (span,) = exported.get_finished_spans()
    assert (span.name, span.kind, span.parent) == (f"process {TOPIC}", SpanKind.CONSUMER, None)
    assert inside == span.get_span_context()
    assert [traceparent_of(link.context) for link in span.links] == PARENTS[:2]
    assert dict(span.links[1].attributes or {}) == {
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "1",
        "messaging.kafka.offset": 1,
        "messaging.kafka.message.key": "acme",
        "messaging.message.id": "id-1",
    }
    attributes = span.attributes or {}
    assert attributes["trunkline.batch.duplicate_count"] == attributes["trunkline.batch.failure_count"] == 1
    (failed,) = span.events
    assert (failed.attributes or {})["messaging.message.id"] == "id-1"
    assert (failed.attributes or {})["trunkline.failure.reason"] == "handler"
    assert "secret" not in span.to_json()


def test_a_single_event_is_processed_in_its_own_trace_with_its_baggage(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    lone = record(7, ("traceparent", PARENTS[0].encode()), ("baggage", b"plan=gold"))
    with spans.processing([lone]):
        assert baggage.get_baggage("plan") == "gold"
    assert baggage.get_baggage("plan") is None
    (span,) = exported.get_finished_spans()
    assert span.parent is not None
    assert traceparent_of(span.parent) == PARENTS[0]
    assert (span.attributes or {})["messaging.message.id"] == "id-7"


def test_a_batch_that_was_given_up_says_why_and_the_exception_passes(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    with pytest.raises(RetryLater), spans.processing([traced(0)]):
        raise RetryLater("password=hunter2")
    (span,) = exported.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "RetryLater"
    assert "hunter2" not in span.to_json()


def test_a_commit_is_a_child_of_its_batch_and_links_to_several(
    spans: ConsumerSpans, exported: InMemorySpanExporter
) -> None:
    with spans.processing([traced(0)]):
        pass
    with spans.committing({(TOPIC, 1): 1}):
        pass
    for number in (1, 2):
        with spans.processing([traced(number)]):
            pass
    with pytest.raises(CommitRefused), spans.committing({(TOPIC, 1): 3, ("ai.agent.events", 0): 1}):
        raise CommitRefused("ILLEGAL_GENERATION", rebalance=True)
    first, alone, second, third, several = exported.get_finished_spans()
    assert (alone.name, alone.kind, alone.parent) == (
        f"commit {TOPIC}",
        SpanKind.CLIENT,
        first.get_span_context(),
    )
    assert (alone.attributes or {})["messaging.kafka.offset"] == 1
    assert (several.name, several.parent) == ("commit", None)
    assert [link.context for link in several.links] == [second.get_span_context(), third.get_span_context()]
    assert (several.attributes or {})["error.type"] == "ILLEGAL_GENERATION"
