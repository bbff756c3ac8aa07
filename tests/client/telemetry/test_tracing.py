"""One trace from a publisher through a handler to what the handler publishes, over a real broker."""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Connection

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.causation import caused_by
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config
from trunkline.client.delivery import Delivery
from trunkline.client.handler import Received, Refusal
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.starts import find_starts
from trunkline.client.store import Store, position
from trunkline.codec import decode
from trunkline.codec.record import Record
from trunkline.testing.consuming import eventually, running

TOPIC = "query.execution.events"
DERIVED_TOPIC = "billing.usage.events"
DERIVED_TYPE = EventType("usage.quota_exceeded.v1")


class Relaying:
    """Publishes a consequence of every event, and remembers the span that it was in."""

    def __init__(self, publisher: Publisher, consequence: Event) -> None:
        self.current: list[str] = []
        self._publisher = publisher
        self._consequence = consequence

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:  # noqa: ARG002 - as in Handler
        self.current.append(f"{trace.get_current_span().get_span_context().span_id:016x}")
        for received in events:
            event = received.event
            self._publisher.publish(self._consequence, tenant=event.tenantid, **caused_by(event)).result(10)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - as in Handler
        raise AssertionError(refusal)


@pytest.fixture
def consequence() -> Event:
    """An event of the billing service."""
    declaration = EVENT_TYPES[DERIVED_TYPE]
    return msgspec.convert(dict(declaration.example), declaration.cls)


@pytest.fixture
def make_publisher(
    connection: ConnectionOptions, catalogue: Catalogue, provider: TracerProvider
) -> Iterator[Callable[[str], Publisher]]:
    opened: list[Publisher] = []

    def make(service: str) -> Publisher:
        opened.append(
            Publisher(service=service, connection=connection, catalogue=catalogue, tracer_provider=provider)
        )
        return opened[-1]

    yield make
    for publisher in opened:
        publisher.close()


def of_name(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


def cause_of(record: Record) -> str:
    return (dict(record.headers).get("ce_causationid") or b"").decode()


def skip_what_is_there(connection: ConnectionOptions, store: Store, group: str) -> None:
    """Let the group begin where the topic ends now."""
    admin = Admin(admin_config(connection))
    keys = [(TOPIC, number) for number in range(admin.describe([TOPIC])[TOPIC].partitions)]
    starts, ends = find_starts(store, admin, group=group, partitions=keys), admin.offsets(keys)
    with store.write() as tx:
        for key, start in starts.items():
            position.advance(tx, start.lane, expected=None, target=ends[key][1])


def test_one_trace_leads_from_the_first_event_to_its_consequence(
    *,
    connection: ConnectionOptions,
    make_publisher: Callable[[str], Publisher],
    provider: TracerProvider,
    exported: InMemorySpanExporter,
    event: Event,
    consequence: Event,
    store: Store,
    unique: Callable[[str], str],
) -> None:
    group = unique("tracing")
    skip_what_is_there(connection, store, group)
    handler = Relaying(make_publisher("billing-service"), consequence)
    runtime = ConsumerRuntime(
        service="billing-service",
        topics=[TOPIC],
        handler=handler,
        store=store,
        connection=connection,
        options=ConsumerOptions(group=group, session_timeout_ms=6_000),
        tracer_provider=provider,
    )
    delivery: Delivery = make_publisher("query-engine").publish(event, tenant="acme")
    delivery.result(10)
    with running(runtime):
        eventually(lambda: len(of_name(exported, f"commit {TOPIC}")) >= 1 and bool(handler.current))
    eventually(lambda: bool(of_name(exported, f"send {DERIVED_TOPIC}")))
    (sent,) = of_name(exported, f"send {TOPIC}")
    (polled,) = of_name(exported, f"poll {TOPIC}")
    (processed,) = of_name(exported, f"process {TOPIC}")
    (derived,) = of_name(exported, f"send {DERIVED_TOPIC}")
    commits = of_name(exported, f"commit {TOPIC}")
    assert sent.context is not None
    assert processed.context is not None
    assert [link.context.span_id for link in polled.links] == [sent.context.span_id]
    assert processed.parent is not None
    assert processed.parent.span_id == sent.context.span_id
    assert handler.current == [f"{processed.context.span_id:016x}"]
    assert derived.parent == processed.context
    assert processed.context in [commit.parent for commit in commits]
    assert {span.context.trace_id for span in (processed, derived) if span.context} == {sent.context.trace_id}
    assert (sent.attributes or {})["messaging.message.id"] == delivery.event_id

    with TopicReader(connection, DERIVED_TOPIC) as reader:
        followers = [record for record in reader.existing() if cause_of(record) == delivery.event_id]
    (record,) = followers
    followed = decode(record)
    assert followed.traceparent is not None
    assert followed.traceparent.split("-")[1:3] == [
        f"{sent.context.trace_id:032x}",
        f"{sent.context.span_id:016x}",
    ]
    assert f"{sent.context.trace_id:032x}".encode() in (dict(record.headers)["traceparent"] or b"")


def test_without_a_provider_a_record_has_no_trace(
    connection: ConnectionOptions, catalogue: Catalogue, event: Event
) -> None:
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        delivered = publisher.publish(event, tenant="nobody").result(10)
    with TopicReader(connection, TOPIC) as reader:
        (headers,) = [
            dict(record.headers)
            for record in reader.existing()
            if (record.partition, record.offset) == (delivered.partition, delivered.offset)
        ]
    assert {"traceparent", "tracestate", "baggage", "ce_traceparent"} & headers.keys() == set()
