"""The consumer loop on the embedded broker: every effect once and in order, whatever goes wrong."""

import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import confluent_kafka
import kafka
import pytest
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics, group_lag
from trunkline.client.backoff import Backoff
from trunkline.client.config import PREFETCH_RECORDS, ConnectionOptions, ConsumerOptions, admin_config
from trunkline.client.errors import BreakerOpen
from trunkline.client.handler import Handler, PermanentFailure, Received, RetryLater
from trunkline.client.kafka import UNREADABLE_HEADERS, Admin
from trunkline.client.publisher import Publisher
from trunkline.client.replay import replay
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.starts import find_starts
from trunkline.client.store import Store, failures, position
from trunkline.testing.consuming import CountingHandler, effects, eventually, running
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"


@dataclass
class Bench:
    """One group that starts where the topic ends now, and means to feed it."""

    connection: ConnectionOptions
    publisher: Publisher
    event: Event
    store: Store
    group: str
    tenant: str
    registry: CollectorRegistry

    def runtime(
        self,
        handler: Handler,
        *,
        failures_in_a_row_max: int = 100,
        park_tenants: bool = False,
        options: ConsumerOptions | None = None,
        on_applied: Callable[[], None] | None = None,
    ) -> ConsumerRuntime:
        self.registry = CollectorRegistry()
        return ConsumerRuntime(
            service="audit-service",
            topics=[TOPIC],
            handler=handler,
            store=self.store,
            connection=self.connection,
            options=options or ConsumerOptions(group=self.group, session_timeout_ms=6_000),
            registry=self.registry,
            failures_in_a_row_max=failures_in_a_row_max,
            park_tenants=park_tenants,
            backoff=Backoff(first=0.05, longest=0.2),
            on_applied=on_applied,
        )

    def publish(self, number: int, *, tenant: str | None = None) -> list[str]:
        sent = [self.publisher.publish(self.event, tenant=tenant or self.tenant) for _ in range(number)]
        for delivery in sent:
            delivery.result(10)
        return [delivery.event_id for delivery in sent]

    def effects(self, tenant: str | None = None) -> list[str]:
        return [effect.event_id for effect in effects(self.store, tenant=tenant)]

    def open_failures(self) -> list[int]:
        with self.store.read() as tx:
            return failures.open_ids(tx, group=self.group)

    def count(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(f"trunkline_consumer_{name}", {"group": self.group, **labels})
        return found or 0.0

    def ledger(self) -> list[failures.Failure]:
        with self.store.read() as tx:
            return failures.listed(tx, group=self.group, status=None)


@pytest.fixture
def bench(
    connection: ConnectionOptions,
    publisher: Publisher,
    event: Event,
    store: Store,
    unique: Callable[[str], str],
) -> Bench:
    group = unique("group")
    admin = Admin(admin_config(connection))
    starts = find_starts(store, admin, group=group, partitions=[(TOPIC, number) for number in range(3)])
    ends = admin.offsets(starts)
    with store.write() as tx:
        for key, start in starts.items():
            position.advance(tx, start.lane, expected=None, target=ends[key][1])
    return Bench(connection, publisher, event, store, group, unique("tenant"), CollectorRegistry())


def test_events_take_effect_once_and_in_order_and_kafka_is_told(bench: Bench) -> None:
    sent = bench.publish(250)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 250)
    assert bench.effects() == sent
    assert bench.count("events_total", topic=TOPIC) == 250


def test_who_wants_to_know_of_a_batch_hears_when_it_is_committed(bench: Bench) -> None:
    seen: list[int] = []
    with running(
        bench.runtime(CountingHandler(bench.store), on_applied=lambda: seen.append(len(bench.effects())))
    ):
        bench.publish(3)
        eventually(lambda: len(bench.effects()) == 3)
        eventually(lambda: seen[-1:] == [3])


def test_a_stopped_consumer_has_committed_and_the_next_one_goes_on_from_there(
    bench: Bench, catalogue: Catalogue
) -> None:
    first = bench.publish(20)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 20)
    committed = Admin(admin_config(bench.connection)).committed(bench.group)
    ends = Admin(admin_config(bench.connection)).offsets(committed)
    assert {key: end for key, (_, end) in ends.items()} == committed
    second = bench.publish(20)
    handler = CountingHandler(bench.store)
    with running(bench.runtime(handler)):
        eventually(lambda: len(bench.effects()) == 40)
    assert bench.effects() == first + second
    assert sum(handler.batches) == 20


def test_a_duplicate_is_counted_and_not_handled_again(bench: Bench) -> None:
    (sent,) = bench.publish(1)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 1)
        bench.publisher.publish(bench.event, tenant=bench.tenant, id="same").result(10)
        eventually(lambda: len(bench.effects()) == 2)
        record = bench.publisher.publish(bench.event, tenant=bench.tenant, id="same")
        record.result(10)
        bench.publish(1)
        eventually(lambda: len(bench.effects()) == 3)
    # The second one had another time and therefore other content: it is a conflict, never dropped in silence.
    assert [failure.reason for failure in bench.ledger()] == [failures.ID_CONFLICT]
    assert bench.effects()[0] == sent


def test_the_same_bytes_again_are_a_duplicate(bench: Bench) -> None:
    with running(bench.runtime(CountingHandler(bench.store))):
        envelope = bench.publisher.new_envelope(bench.event, tenant=bench.tenant)
        for _ in range(3):
            bench.publisher.publish_envelope(envelope).result(10)
        eventually(lambda: bench.count("duplicates_total", topic=TOPIC) == 2)
    assert bench.effects() == [envelope.id]
    assert bench.ledger() == []


@pytest.mark.parametrize("place", [0, 1, 9, 18, 19])
def test_only_the_poisonous_event_goes_to_the_ledger_wherever_it_is_in_the_batch(
    bench: Bench, place: int
) -> None:
    sent = bench.publish(20)

    def objection(received: Received) -> Exception | None:
        return PermanentFailure("cannot") if received.event.id == sent[place] else None

    handler = CountingHandler(bench.store, objection=objection)
    with running(bench.runtime(handler)):
        eventually(lambda: len(bench.effects()) == 19)
    assert bench.effects() == sent[:place] + sent[place + 1 :]
    (failure,) = bench.ledger()
    assert (failure.reason, failure.error) == (failures.HANDLER, "PermanentFailure: cannot")
    assert [refusal.reason for _, refusal in handler.refusals] == [failures.HANDLER]
    assert bench.count("failures_total", topic=TOPIC, reason=failures.HANDLER) == 1


def test_records_that_are_no_events_go_to_the_ledger_and_the_consumer_goes_on(bench: Bench) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": bench.connection.bootstrap_servers})
    no_header: list[tuple[str, str | bytes | None]] = []
    garbage: list[tuple[bytes | None, bytes | None, list[tuple[str, str | bytes | None]]]] = [
        (b"\xff\xfe", None, no_header),
        (None, b"k", [("ce_id", b"\xff")]),
        (b"{}", b"k", [("ce_" + "x" * 300, b""), ("ce_id", None)]),
    ]
    for value, key, headers in garbage:
        producer.produce(TOPIC, value, key, headers=headers)
    assert producer.flush(10) == 0
    sent = bench.publish(1)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: bench.effects() == sent and len(bench.ledger()) == 3)
    kept = {(failure.record.value, failure.record.key) for failure in bench.ledger()}
    assert kept == {(value, key) for value, key, _ in garbage}


class NotUtf8(str):
    """A header name that another client can send and that librdkafka's Python binding cannot read."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - as in str
        return b"\xff\xfe"


def test_a_header_name_that_is_not_utf8_cannot_stop_the_consumer(bench: Bench) -> None:
    producer = kafka.KafkaProducer(bootstrap_servers=bench.connection.bootstrap_servers)
    producer.send(TOPIC, b"{}", key=b"k", headers=[(NotUtf8("x"), b"v")]).get(10)
    producer.close()
    sent = bench.publish(1)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: bench.effects() == sent and len(bench.ledger()) == 1)
    (failure,) = bench.ledger()
    assert failure.record.value == b"{}"
    # Apache Kafka repairs the name when it compresses a batch anew for the topic.
    assert failure.record.headers in {UNREADABLE_HEADERS, (("\ufffd\ufffd", b"v"),)}


def test_a_locked_store_pauses_the_consumer_and_nothing_is_lost_or_skipped(bench: Bench) -> None:
    path = bench.store.url.removeprefix("sqlite:///")
    with running(bench.runtime(CountingHandler(bench.store))):
        before = bench.publish(5)
        eventually(lambda: len(bench.effects()) == 5)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        during = bench.publish(30)
        eventually(lambda: bench.count("batches_in_progress") == 1)
        eventually(lambda: bench.count("paused_partitions") > 0)
        assert bench.effects() == before
        other.execute("ROLLBACK")
        other.close()
        eventually(lambda: len(bench.effects()) == 35)
        after = bench.publish(5)
        eventually(lambda: len(bench.effects()) == 40)
        eventually(lambda: bench.count("batches_in_progress") == 0)
    assert bench.effects() == before + during + after
    assert bench.ledger() == []


def test_a_handler_that_asks_for_a_retry_gets_the_same_events_again(bench: Bench) -> None:
    attempts = threading.Semaphore(0)
    remaining = iter([RetryLater("away"), ConnectionResetError("away"), OSError(28, "disk full")])

    def objection(_: Received) -> Exception | None:
        attempts.release()
        return next(remaining, None)

    sent = bench.publish(10)
    with running(bench.runtime(CountingHandler(bench.store, objection=objection))):
        eventually(lambda: len(bench.effects()) == 10)
    assert bench.effects() == sent
    assert bench.ledger() == []


def test_too_many_failures_in_a_row_stop_the_consumer_and_that_batch_is_not_skipped(bench: Bench) -> None:
    def objection(_: Received) -> Exception:
        return ValueError("a bad deploy")

    sent = bench.publish(30)
    handler = CountingHandler(bench.store, objection=objection)
    with (
        pytest.raises(BreakerOpen, match="10 events in a row failed"),
        running(bench.runtime(handler, failures_in_a_row_max=10), wait=False),
    ):
        eventually(lambda: bench.count("breaker_open") == 1)
    assert bench.ledger() == []
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 30)
    assert bench.effects() == sent


def test_a_topic_full_of_garbage_can_be_passed_with_the_breaker_off(bench: Bench) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": bench.connection.bootstrap_servers})
    for number in range(250):
        producer.produce(TOPIC, f"garbage {number}", b"k")
    assert producer.flush(10) == 0
    sent = bench.publish(1)
    for _ in range(2):
        # As it stands, every start ends at the same place.
        with (
            pytest.raises(BreakerOpen, match="start it once with --failures-in-a-row 0"),
            running(bench.runtime(CountingHandler(bench.store)), wait=False),
        ):
            eventually(lambda: bench.count("breaker_open") == 1)
    with running(bench.runtime(CountingHandler(bench.store), failures_in_a_row_max=0)):
        eventually(lambda: bench.effects() == sent and len(bench.ledger()) == 250)


def test_later_events_of_a_tenant_are_parked_behind_a_failed_one_and_other_tenants_go_on(
    bench: Bench,
) -> None:
    other = f"{bench.tenant}-other"
    sent: list[str] = []
    others: list[str] = []
    for _ in range(10):
        sent += bench.publish(1)
        others += bench.publish(1, tenant=other)

    def objection(received: Received) -> Exception | None:
        return PermanentFailure("cannot") if received.event.id == sent[3] else None

    # A parked event says nothing about the deploy: the breaker does not count it.
    handler = CountingHandler(bench.store, objection=objection)
    with running(bench.runtime(handler, park_tenants=True, failures_in_a_row_max=3)):
        eventually(lambda: len(bench.effects()) == 13)
        late = bench.publish(5)
        eventually(lambda: len(bench.ledger()) == 12)
    assert bench.effects(bench.tenant) == sent[:3]
    assert bench.effects(other) == others
    assert [_event_id(failure) for failure in bench.ledger()] == sent[3:] + late
    assert [failure.reason for failure in bench.ledger()] == [failures.HANDLER] + [failures.PARKED] * 11
    # Another member, another day, and whatever its option says: the order is kept.
    with running(bench.runtime(CountingHandler(bench.store))):
        bench.publish(1)
        eventually(lambda: len(bench.ledger()) == 13)
    assert bench.effects(bench.tenant) == sent[:3]


def test_a_parked_tenant_flows_again_in_order_while_its_events_keep_coming(bench: Bench) -> None:
    mended = threading.Event()

    def objection(_: Received) -> Exception | None:
        return None if mended.is_set() else PermanentFailure("cannot")

    handler = CountingHandler(bench.store, objection=objection)
    sent = bench.publish(30)
    with running(bench.runtime(handler, park_tenants=True)):
        eventually(lambda: len(bench.ledger()) == 30)
        mended.set()
        while bench.open_failures():
            # Each pass replays what is parked now; more comes meanwhile, until one finds the tenant flowing.
            sent += bench.publish(3)
            replay(bench.store, handler, bench.open_failures())
        sent += bench.publish(3)
        eventually(lambda: len(bench.effects()) == len(sent))
    assert bench.effects() == sent


def _event_id(failure: failures.Failure) -> str:
    return next(value.decode() for name, value in failure.record.headers if name == "ce_id" and value)


def test_a_zombie_cannot_undo_or_repeat_what_its_successor_did(bench: Bench) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def objection(_: Received) -> Exception | None:
        entered.set()
        go_on.wait(10)
        return RetryLater("let the other one in") if not released.is_set() else None

    released = threading.Event()
    handler = CountingHandler(bench.store, objection=objection)
    with running(bench.runtime(handler)):
        bench.publish(3)
        assert entered.wait(10)
        go_on.set()
        # Another owner of the partition takes the position forward while this one waits to try again.
        with bench.store.write() as tx:
            moved = _move_to_end(bench, tx)
        released.set()
        eventually(lambda: bench.count("fenced_total") >= 1)
        later = bench.publish(2)
        eventually(lambda: len(bench.effects()) == 2)
    assert moved == 3
    assert bench.effects() == later


def _move_to_end(bench: Bench, tx: Connection) -> int:
    admin = Admin(admin_config(bench.connection))
    cluster_id = admin.cluster_id()
    topic_id = admin.describe([TOPIC])[TOPIC].topic_id
    moved = 0
    for key, (_, end) in admin.offsets([(TOPIC, number) for number in range(3)]).items():
        lane = position.Lane(
            group=bench.group, cluster_id=cluster_id, topic=TOPIC, topic_id=topic_id, partition=key[1]
        )
        stored = position.read(tx, [lane])[lane]
        assert stored is not None
        if stored < end:
            position.advance(tx, lane, expected=stored, target=end)
            moved += end - stored
    return moved


def test_two_members_share_the_partitions_and_a_rebalance_loses_and_doubles_nothing(bench: Bench) -> None:
    tenants = [f"{bench.tenant}-{number}" for number in range(12)]
    sent: dict[str, list[str]] = {tenant: [] for tenant in tenants}

    def publish_to_all() -> None:
        for tenant in tenants:
            sent[tenant] += bench.publish(3, tenant=tenant)

    first, second = CountingHandler(bench.store), CountingHandler(bench.store)
    with running(bench.runtime(first)) as one:
        publish_to_all()
        with running(bench.runtime(second)) as two:
            publish_to_all()
            eventually(lambda: bool(one.assignment) and bool(two.assignment))
            assert not one.assignment & two.assignment
            publish_to_all()
            eventually(lambda: len(bench.effects()) == 108)
        eventually(lambda: len(one.assignment) == 3)
        publish_to_all()
        eventually(lambda: len(bench.effects()) == 144)
    for tenant in tenants:
        assert [effect.event_id for effect in effects(bench.store, tenant=tenant)] == sent[tenant]


def test_the_store_decides_where_to_start_even_against_kafka(bench: Bench, catalogue: Catalogue) -> None:
    sent = bench.publish(10)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 10)
    assert bench.effects() == sent
    # Somebody resets the group's offsets: that must neither repeat effects nor skip events.
    reset = confluent_kafka.Consumer(
        {"bootstrap.servers": bench.connection.bootstrap_servers, "group.id": bench.group}
    )
    committed = Admin(admin_config(bench.connection)).committed(bench.group)
    reset.commit(offsets=[confluent_kafka.TopicPartition(*key, 0) for key in committed], asynchronous=False)
    reset.close()
    more = bench.publish(5)
    handler = CountingHandler(bench.store)
    with running(bench.runtime(handler)):
        eventually(lambda: len(bench.effects()) == 15)
    assert bench.effects() == sent + more
    assert sum(handler.batches) == 5


def test_a_topic_that_is_created_again_is_read_from_its_beginning(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, event: Event, store: Store
) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)

    def publish(number: int) -> set[str]:
        ensure_topics(connection, catalogue, "development")
        with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
            return {publisher.publish(event, tenant="acme").event_id for _ in range(number)}

    runtime = ConsumerRuntime(
        service="audit-service",
        topics=[TOPIC],
        handler=CountingHandler(store),
        store=store,
        connection=connection,
        monotonic=lambda: time.monotonic() * 50,  # It looks every 0.2 s rather than every 10.
    )
    first = publish(5)
    with running(runtime):
        eventually(lambda: len(effects(store)) == 5)
        admin = AdminClient({"bootstrap.servers": connection.bootstrap_servers})
        admin.delete_topics([TOPIC])[TOPIC].result()
        second = publish(12)
        eventually(lambda: len(effects(store)) == 17)
    assert {effect.event_id for effect in effects(store)} == first | second


def test_lag_is_what_is_left_to_process(bench: Bench, catalogue: Catalogue) -> None:
    bench.publish(4)
    with running(bench.runtime(CountingHandler(bench.store))):
        eventually(lambda: len(bench.effects()) == 4)
    bench.publish(7)
    assert sum(row.lag for row in group_lag(bench.connection, catalogue, bench.group)) == 7


@pytest.mark.slow
def test_a_broker_that_dies_in_the_middle_of_a_batch_costs_nothing(
    broker_factory: Callable[..., BrokerProcess],
    catalogue: Catalogue,
    *,
    event: Event,
    store: Store,
    tmp_path: Path,
) -> None:
    broker = broker_factory(tmp_path / "broker")
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    kill = threading.Event()

    def objection(_: Received) -> None:
        if kill.is_set():
            kill.clear()
            broker.kill()

    runtime = ConsumerRuntime(
        service="audit-service",
        topics=[TOPIC],
        handler=CountingHandler(store, objection=objection),
        store=store,
        connection=connection,
    )
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        sent = [publisher.publish(event, tenant="acme") for _ in range(10)]
        with running(runtime):
            eventually(lambda: len(effects(store)) == 10)
            kill.set()
            sent += [publisher.publish(event, tenant="acme") for _ in range(10)]
            eventually(lambda: not broker.running)
            broker.restart()
            sent += [publisher.publish(event, tenant="acme") for _ in range(10)]
            eventually(lambda: len(effects(store)) == 30, seconds=60)
    assert [effect.event_id for effect in effects(store)] == [delivery.event_id for delivery in sent]


def test_what_retention_deletes_behind_the_back_of_a_running_consumer_is_told(
    bench: Bench, connection: ConnectionOptions
) -> None:
    away = threading.Event()
    raw = AdminClient(admin_config(connection))
    handler = CountingHandler(bench.store, objection=lambda _: RetryLater("away") if away.is_set() else None)
    with running(bench.runtime(handler)):
        before = bench.publish(1)
        eventually(lambda: bench.effects() == before)
        away.set()
        # More than the library fetches ahead, so that it has to ask for what is deleted.
        bench.publish(PREFETCH_RECORDS * 2)
        eventually(lambda: bench.count("paused_partitions") == 1)
        (partition,) = {effect.partition for effect in effects(bench.store)}
        _, end = Admin(admin_config(connection)).offsets([(TOPIC, partition)])[TOPIC, partition]
        kept = 10
        deleted = raw.delete_records([confluent_kafka.TopicPartition(TOPIC, partition, end - kept)])
        for answer in deleted.values():
            answer.result(10)
        away.clear()
        eventually(lambda: bench.count("expired_total", topic=TOPIC) > 0)
    lost = bench.count("expired_total", topic=TOPIC)
    assert len(bench.effects()) - 1 + lost == PREFETCH_RECORDS * 2
