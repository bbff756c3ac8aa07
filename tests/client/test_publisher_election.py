"""The leader of a partition is killed while a publisher publishes: nothing is refused, nothing overtaken."""

import threading
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.codec import decode
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster

TOPIC = "query.execution.events"
TENANTS = [f"tenant-{number}" for number in range(40)]
EVENTS = 2_000
ELECTION_SECONDS = 60.0
PAUSE_SECONDS = 0.001


@pytest.mark.kafka
def test_what_was_accepted_while_the_leader_died_is_all_delivered_in_its_tenants_order(
    kafka_factory: Callable[..., KafkaCluster], catalogue: Catalogue, event: Event
) -> None:
    cluster = kafka_factory(brokers=3)
    connection = cluster.connection()
    ensure_topics(connection, catalogue, "production")
    sent: list[Delivery] = []
    done = threading.Event()

    def publish() -> None:
        for tenant in cycle(TENANTS):
            if done.wait(PAUSE_SECONDS):
                return
            sent.append(publisher.publish(event, tenant=tenant))

    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        thread = threading.Thread(target=publish)
        thread.start()
        try:
            eventually(lambda: len(sent) >= EVENTS)
            leader = cluster.leader_of(TOPIC, 0)
            assert leader is not None
            under_way = sum(delivery.outcome is None for delivery in sent)
            leader.kill()
            eventually(lambda: cluster.leader_of(TOPIC, 0) not in (None, leader), seconds=ELECTION_SECONDS)
            during = len(sent)
            eventually(lambda: len(sent) >= during + EVENTS)
        finally:
            done.set()
            thread.join()
        assert publisher.flush(ELECTION_SECONDS) == 0
    print(f"{under_way} events under way at the kill, {during - EVENTS} published until the election")
    assert [str(delivery.outcome) for delivery in sent if not isinstance(delivery.outcome, Delivered)] == []
    assert ids_in_log(TopicReader(connection, TOPIC)) == ids_of(sent)


def ids_of(sent: list[Delivery]) -> dict[str, list[str]]:
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for delivery in sent:
        ids[delivery.envelope.tenantid].append(delivery.event_id)
    return ids


def ids_in_log(reader: TopicReader) -> dict[str, list[str]]:
    """Event ids by tenant, in the log's order; an event that is there twice is there twice here."""
    ids: defaultdict[str, list[str]] = defaultdict(list)
    with reader:
        for record in reader.existing():
            envelope = decode(record)
            ids[envelope.tenantid].append(envelope.id)
    return ids
