"""Topics that are deleted and created again under a consumer: nothing lost, nothing out of order."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import confluent_kafka
import msgspec
import pytest
from sqlalchemy import Connection

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.admin import ensure_topics
from trunkline.client.backoff import Backoff
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config
from trunkline.client.diagnosis import Situation
from trunkline.client.handler import Received, Refusal
from trunkline.client.kafka import Admin, Partition
from trunkline.client.loop import ConsumerLoop
from trunkline.client.plain import PlainConsumer
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store
from trunkline.client.store.position import Lane
from trunkline.client.topic_watch import RECORDS_PER_SECOND_MAX, RECREATED_SECONDS, TopicWatch
from trunkline.codec import Record, encode_checked, new_envelope
from trunkline.testing.consuming import eventually, running

TOPIC = "governance.policy.events"
DECLARATION = next(each for each in EVENT_TYPES.values() if each.topic == TOPIC)
EVENT = msgspec.convert(dict(DECLARATION.example), DECLARATION.cls)
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Seen:
    """A handler of both kinds that keeps the ids of what it was given."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def handle(self, events: Sequence[Received]) -> None:
        self.ids += [received.event.id for received in events]


class SeenInStore(Seen):
    """The same beside a transaction."""

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:  # type: ignore[override]  # noqa: ARG002
        super().handle(events)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002
        raise AssertionError(refusal)


class Desk:
    """A topic that no other module's tests use, created anew for each of these, and a group."""

    def __init__(
        self,
        connection: ConnectionOptions,
        catalogue: Catalogue,
        *,
        store: Store,
        group: str,
    ) -> None:
        self.connection, self.catalogue, self.store = connection, catalogue, store
        self.admin = Admin(admin_config(connection))
        self.group = group
        self.key: Partition = (TOPIC, 0)
        self.create_anew()

    @property
    def topic_id(self) -> str:
        return self.admin.describe([TOPIC])[TOPIC].topic_id

    def create_anew(self) -> None:
        old = self.topic_id
        self.admin.delete(TOPIC)
        # Apache Kafka answers before it has deleted.
        eventually(lambda: self._is_another_than(old))

    def _is_another_than(self, old: str) -> bool:
        ensure_topics(self.connection, self.catalogue, "development")
        there = self.admin.describe([TOPIC])
        return TOPIC in there and there[TOPIC].topic_id != old

    def fill(self, number: int) -> list[str]:
        envelopes = [
            new_envelope(EVENT, tenant=TenantId("acme"), source="/governance-service", time=TIME)
            for _ in range(number)
        ]
        producer = confluent_kafka.Producer({"bootstrap.servers": self.connection.bootstrap_servers})
        for envelope in envelopes:
            encoded = encode_checked(envelope)
            producer.produce(TOPIC, encoded.value, encoded.key, 0, headers=list(encoded.headers))
        assert producer.flush(20) == 0
        return [envelope.id for envelope in envelopes]

    @contextmanager
    def consuming(self, kind: str) -> Iterator[Seen]:
        options = ConsumerOptions(group=self.group, session_timeout_ms=6_000)
        backoff = Backoff(first=0.05, longest=0.2)
        consumer: ConsumerLoop
        seen: Seen
        if kind == "plain":
            seen = Seen()
            consumer = PlainConsumer(
                service="s",
                topics=[TOPIC],
                handler=seen,
                ledger=self.store,
                connection=self.connection,
                options=options,
                backoff=backoff,
            )
        else:
            seen = stored = SeenInStore()
            consumer = ConsumerRuntime(
                service="s",
                topics=[TOPIC],
                handler=stored,
                store=self.store,
                connection=self.connection,
                options=options,
                backoff=backoff,
            )
        with running(consumer):
            yield seen

    def lane(self) -> Lane:
        return Lane(group=self.group, cluster_id="c", topic=TOPIC, topic_id=self.topic_id, partition=0)


@pytest.fixture
def desk(
    connection: ConnectionOptions, catalogue: Catalogue, store: Store, unique: Callable[[str], str]
) -> Desk:
    return Desk(connection, catalogue, store=store, group=unique("anew"))


@pytest.mark.parametrize("kind", ["store", "plain"])
def test_a_topic_created_anew_under_a_running_consumer_is_read_from_its_beginning_and_in_order(
    desk: Desk, kind: str
) -> None:
    first = desk.fill(5)
    with desk.consuming(kind) as seen:
        eventually(lambda: seen.ids == first)
        desk.create_anew()
        # More than before, so that the old position exists in the new log.
        second = desk.fill(60)
        eventually(lambda: len(seen.ids) >= 65)
    assert seen.ids == first + second


@pytest.mark.parametrize(("whose", "missed"), [("old", 0), ("new", 5), ("nobody", 5)])
def test_a_position_that_kafka_has_of_an_earlier_topic_of_the_name_is_none(
    desk: Desk, whose: str, missed: int
) -> None:
    old = desk.topic_id
    desk.create_anew()
    sent = desk.fill(10)
    mark = {"old": f"topic-id:{old}", "new": f"topic-id:{desk.topic_id}", "nobody": ""}[whose]
    outsider = confluent_kafka.Consumer(
        {"bootstrap.servers": desk.connection.bootstrap_servers, "group.id": desk.group}
    )
    late = confluent_kafka.TopicPartition(TOPIC, 0, 5, metadata=mark)
    outsider.commit(offsets=[late], asynchronous=False)
    outsider.close()
    with desk.consuming("plain") as seen:
        eventually(lambda: seen.ids == sent[missed:])


def test_a_commit_bears_the_id_of_its_topic(desk: Desk) -> None:
    sent = desk.fill(3)
    with desk.consuming("plain") as seen:
        eventually(lambda: seen.ids == sent)
    reader = confluent_kafka.Consumer(
        {"bootstrap.servers": desk.connection.bootstrap_servers, "group.id": desk.group}
    )
    (told,) = reader.committed([confluent_kafka.TopicPartition(TOPIC, 0)], timeout=10)
    reader.close()
    assert (told.offset, told.metadata) == (3, f"topic-id:{desk.topic_id}")


def test_records_are_another_topics_only_if_so_many_can_have_been_written_since_the_cluster_was_asked(
    desk: Desk,
) -> None:
    situation = Situation(
        connection=desk.connection,
        options=ConsumerOptions(group=desk.group),
        topics=frozenset({TOPIC}),
    )
    watch = TopicWatch(situation, lambda *_: None)
    old = desk.lane()
    nothing: frozenset[Partition] = frozenset()
    assert watch.strange(desk.admin, {desk.key: (old, 0)}, 100.0) == nothing
    desk.create_anew()
    assert watch.strange(desk.admin, {desk.key: (old, 0)}, 100.0 + RECREATED_SECONDS / 2) == nothing
    far = RECORDS_PER_SECOND_MAX * 2
    assert watch.strange(desk.admin, {desk.key: (old, far)}, 101.0) == nothing
    assert watch.strange(desk.admin, {desk.key: (old, far)}, 103.0) == {desk.key}
    # What is known to have changed is not asked about later than what is not.
    new = desk.lane()
    assert watch.strange(desk.admin, {desk.key: (new, 0)}, 103.0) == nothing
    assert watch.strange(desk.admin, {desk.key: (old, far)}, 103.0) == {desk.key}
