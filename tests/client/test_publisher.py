"""Publishing on the embedded broker: what is refused, what is delivered, and what is unknown."""

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, ProducerOptions, admin_config
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.errors import (
    DeliveryRejected,
    EventTooLarge,
    InvalidEvent,
    InvalidTenant,
    NotPublisher,
    PublisherClosed,
    QueueFull,
)
from trunkline.client.kafka import Admin, partition_of
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.client.sizes import batch_bytes
from trunkline.codec import decode, encode
from trunkline.errors import InvalidInput
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"
NOWHERE = ConnectionOptions(bootstrap_servers="127.0.0.1:1")


def test_a_published_event_is_in_the_log_as_it_was_keyed_by_its_tenant(
    connection: ConnectionOptions, publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    delivered = publisher.publish(event, tenant=tenant, subject="q-1", correlationid="c-1").result(10)
    with TopicReader(connection, TOPIC) as reader:
        (record,) = [record for record in reader.existing() if record.key == tenant.encode()]
    assert (record.topic, record.partition, record.offset) == msgspec.structs.astuple(delivered)
    envelope = decode(record)
    assert (envelope.data, envelope.tenantid, envelope.subject) == (event, tenant, "q-1")
    assert envelope.source == "/query-engine"


def test_a_tenant_is_on_the_partition_where_java_puts_it(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    for _ in range(20):
        tenant = unique("tenant")
        assert publisher.publish(event, tenant=tenant).result(10).partition == partition_of(
            tenant.encode(), 3
        )


def test_events_of_a_tenant_are_in_the_log_in_the_order_of_publishing(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    sent = [publisher.publish(event, tenant=tenant) for _ in range(500)]
    assert publisher.flush(20) == 0
    offsets = [delivery.result(0).offset for delivery in sent]
    assert offsets == sorted(set(offsets))


def test_outcomes_arrive_while_a_thread_publishes_without_a_pause(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    # What a producer does first takes as long as the cluster likes.
    publisher.publish(event, tenant=tenant).result(20)
    first = publisher.publish(event, tenant=tenant)
    published = 0
    while first.outcome is None:
        publisher.publish(event, tenant=tenant)
        published += 1
        assert published < 60_000
    assert publisher.flush(20) == 0


def test_what_another_service_publishes_is_refused(
    publisher: Publisher, catalogue: Catalogue, unique: Callable[[str], str]
) -> None:
    declaration = EVENT_TYPES[EventType("tenant.created.v1")]
    foreign = msgspec.convert(dict(declaration.example), declaration.cls)
    with pytest.raises(NotPublisher, match=r"belongs on tenant\.lifecycle\.events, and query-engine"):
        publisher.publish(foreign, tenant=unique("tenant"))


def test_a_service_that_publishes_nothing_says_so(catalogue: Catalogue, event: Event) -> None:
    with (
        Publisher(service="audit-service", connection=NOWHERE, catalogue=catalogue) as publisher,
        pytest.raises(NotPublisher, match="publishes nothing"),
    ):
        publisher.publish(event, tenant="acme")


def test_an_unknown_service_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match="query-engine"):
        Publisher(service="query-engin", connection=NOWHERE, catalogue=catalogue)


@pytest.mark.parametrize("tenant", ["", "a b", "ä", "-a", "a" * 65, "a\n"])
def test_what_is_no_tenant_id_is_refused(publisher: Publisher, event: Event, tenant: str) -> None:
    with pytest.raises(InvalidTenant, match="use 1 to 64 letters"):
        publisher.publish(event, tenant=tenant)


def test_an_event_that_breaks_its_constraints_is_refused_with_the_path(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    broken = msgspec.structs.replace(event, cpu_us=-1)
    with pytest.raises(InvalidEvent, match=r"\$\.cpu_us"):
        publisher.publish(broken, tenant=unique("tenant"))


def test_the_size_limit_is_exact_and_names_both_sizes(
    connection: ConnectionOptions, publisher: Publisher, catalogue: Catalogue, event: Event
) -> None:
    # librdkafka's own limit cannot be less than 1,000 bytes.
    envelope = publisher.new_envelope(event, tenant="acme", subject="s" * 1_000)
    size = batch_bytes(encode(envelope))
    for limit, fits in ((size, True), (size - 1, False)):
        options = ProducerOptions(message_bytes_max=limit)
        with Publisher(
            service="query-engine", connection=connection, catalogue=catalogue, options=options
        ) as small:
            if fits:
                assert isinstance(small.publish_envelope(envelope).result(10), Delivered)
                continue
            with pytest.raises(EventTooLarge, match=f"takes {size} bytes, 1 more than") as refused:
                small.publish_envelope(envelope)
            assert (refused.value.size, refused.value.size_max) == (size, size - 1)


def test_a_full_queue_is_waited_for_and_then_said_plainly(catalogue: Catalogue, event: Event) -> None:
    publisher = Publisher(
        service="query-engine",
        connection=NOWHERE,
        catalogue=catalogue,
        options=ProducerOptions(queue_messages_max=2),
        queue_wait_seconds=0.2,
    )
    for _ in range(2):
        publisher.publish(event, tenant="acme")
    with pytest.raises(QueueFull, match=r"2 events wait for the cluster.*this one was not sent"):
        publisher.publish(event, tenant="acme")
    publisher.close(timeout=0)


def test_what_was_not_sent_at_the_end_is_rejected_and_never_open(catalogue: Catalogue, event: Event) -> None:
    publisher = Publisher(service="query-engine", connection=NOWHERE, catalogue=catalogue)
    sent = [publisher.publish(event, tenant="acme") for _ in range(5)]
    with pytest.raises(TimeoutError, match=r"has no outcome after 0\.01 s"):
        sent[0].result(0.01)
    assert publisher.flush(0.05) == 5
    publisher.close(timeout=0.05)
    for delivery in sent:
        with pytest.raises(DeliveryRejected, match=r"closed before it was sent.*it is not in the log"):
            delivery.result(0)
    with pytest.raises(PublisherClosed):
        publisher.publish(event, tenant="acme")
    publisher.close()


def test_a_callback_that_fails_keeps_nobody_else_from_an_outcome(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    called: list[str] = []

    def fail(delivery: Delivery) -> None:
        called.append(delivery.event_id)
        raise ValueError("somebody else's mistake")

    first = publisher.publish(event, tenant=tenant)
    # Known already, it calls back here and now, and the mistake is the caller's.
    with contextlib.suppress(ValueError):
        first.when_done(fail)
    assert isinstance(publisher.publish(event, tenant=tenant).result(10), Delivered)
    assert called == [first.event_id]


@pytest.mark.slow
def test_a_topic_that_is_not_there_rejects_the_event(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, event: Event
) -> None:
    nothing_there = ConnectionOptions(bootstrap_servers=broker_factory().address)
    with Publisher(service="query-engine", connection=nothing_there, catalogue=catalogue) as publisher:
        delivery = publisher.publish(event, tenant="acme")
        with pytest.raises(DeliveryRejected, match="it is not in the log"):
            delivery.result(60)


def test_a_broker_that_restarts_costs_no_event_and_no_order(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, event: Event, tmp_path: Path
) -> None:
    broker = broker_factory(tmp_path / "restarting")
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        sent = [publisher.publish(event, tenant="acme") for _ in range(200)]
        broker.kill()
        sent += [publisher.publish(event, tenant="acme") for _ in range(200)]
        broker.restart()
        assert publisher.flush(60) == 0
    with TopicReader(connection, TOPIC) as reader:
        ids = [decode(record).id for record in reader.existing()]
    assert ids == [delivery.event_id for delivery in sent]


def test_a_topic_closed_for_growth_holds_events_and_loses_neither_one_nor_their_order(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, event: Event
) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    ensure_topics(connection, catalogue, "development")
    admin = Admin(admin_config(connection))
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        publisher.publish(event, tenant="warm-up").result(10)
        admin.configure(TOPIC, {"max.message.bytes": "0"})
        sent = [publisher.publish(event, tenant=f"tenant-{number % 7}") for number in range(100)]
        assert publisher.flush(0.5) == 100
        admin.add_partitions(TOPIC, total=6)
        # As `topics grow` does: closed until every publisher has counted again, which each probe begins with.
        assert publisher.flush(1) == 100
        admin.configure(TOPIC, {"max.message.bytes": None})
        assert publisher.flush(20) == 0
    for number in range(7):
        places = [delivery.result(0) for delivery in sent[number::7]]
        assert {place.partition for place in places} == {partition_of(f"tenant-{number}".encode(), 6)}
        assert [place.offset for place in places] == sorted(place.offset for place in places)


def test_many_threads_may_publish_at_once(
    publisher: Publisher, event: Event, unique: Callable[[str], str]
) -> None:
    positions: list[tuple[int, int]] = []

    def publish() -> None:
        tenant = unique("tenant")
        for delivery in [publisher.publish(event, tenant=tenant) for _ in range(200)]:
            delivered = delivery.result(20)
            positions.append((delivered.partition, delivered.offset))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(positions)) == 800
