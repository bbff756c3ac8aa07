"""Consumers without a database: at least once, and nothing passed that is neither handled nor kept."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import confluent_kafka
import pytest
from prometheus_client import CollectorRegistry

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.admin import ensure_topics
from trunkline.client.backoff import Backoff
from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    admin_config,
    producer_config,
)
from trunkline.client.errors import BreakerOpen
from trunkline.client.growth import plan
from trunkline.client.growth.journal import Journal
from trunkline.client.growth.plan import Stage
from trunkline.client.handler import PermanentFailure, PlainHandler, Received, RetryLater
from trunkline.client.kafka import Admin, Producer
from trunkline.client.plain import PlainConsumer
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, failures, open_store
from trunkline.codec import encode_checked, new_envelope
from trunkline.testing.consuming import eventually, running
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"
TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Sender:
    """Keeps what it was given of one tenant; `objection` may say why an event fails."""

    def __init__(self, tenant: str, objection: Callable[[str], Exception | None] = lambda _: None) -> None:
        self.sent: list[str] = []
        self._tenant = tenant
        self._objection = objection

    def handle(self, events: Sequence[Received]) -> None:
        for received in events:
            if received.event.tenantid != self._tenant:
                continue
            if (error := self._objection(received.event.id)) is not None:
                raise error
            self.sent.append(received.event.id)


class Stopping:
    """Says when an event was handed over; the consumer can be told to stop before that batch is committed."""

    def __init__(self, sender: Sender, handled: threading.Event, *, last: str) -> None:
        self._sender, self._handled, self._last = sender, handled, last

    def handle(self, events: Sequence[Received]) -> None:
        self._sender.handle(events)
        if self._last in self._sender.sent:
            self._handled.set()


class Together:
    """Several of them at once."""

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = senders

    def handle(self, events: Sequence[Received]) -> None:
        for sender in self._senders:
            sender.handle(events)


class Bench:
    """One group and one tenant."""

    def __init__(
        self,
        connection: ConnectionOptions,
        publisher: Publisher,
        event: Event,
        *,
        ledger: Store,
        unique: Callable[[str], str],
    ) -> None:
        self.connection, self._publisher, self._event, self._ledger = connection, publisher, event, ledger
        self.group, self.tenant = unique("plain"), unique("tenant")

    def consumer(
        self,
        handler: PlainHandler,
        *,
        failures_in_a_row_max: int = 0,
        ledger: Store | None = None,
        registry: CollectorRegistry | None = None,
    ) -> PlainConsumer:
        return PlainConsumer(
            service="notifier",
            topics=[TOPIC],
            handler=handler,
            ledger=ledger or self._ledger,
            registry=registry,
            connection=self.connection,
            options=ConsumerOptions(group=self.group, session_timeout_ms=6_000),
            failures_in_a_row_max=failures_in_a_row_max,
            backoff=Backoff(first=0.05, longest=0.2),
        )

    def publish(self, number: int) -> list[str]:
        sent = [self._publisher.publish(self._event, tenant=self.tenant) for _ in range(number)]
        for delivery in sent:
            delivery.result(10)
        return [delivery.event_id for delivery in sent]

    def publish_one(self, tenant: str) -> str:
        delivery = self._publisher.publish(self._event, tenant=tenant)
        delivery.result(10)
        return delivery.event_id

    def ledger(self) -> list[failures.Failure]:
        with self._ledger.read() as tx:
            kept = failures.listed(tx, group=self.group, status=None)
        return [failure for failure in kept if failure.record.key == self.tenant.encode()]

    def committed_all(self) -> bool:
        admin = Admin(admin_config(self.connection))
        committed = admin.committed(self.group)
        return {key: end for key, (_, end) in admin.offsets(committed).items()} == committed


@pytest.fixture
def bench(
    connection: ConnectionOptions,
    publisher: Publisher,
    event: Event,
    store: Store,
    unique: Callable[[str], str],
) -> Bench:
    return Bench(connection, publisher, event, ledger=store, unique=unique)


def test_events_come_in_order_and_the_next_consumer_goes_on_where_kafka_was_told(bench: Bench) -> None:
    first = bench.publish(120)
    sender = Sender(bench.tenant)
    with running(bench.consumer(sender)):
        eventually(lambda: sender.sent == first)
        eventually(bench.committed_all)
    second = bench.publish(20)
    later = Sender(bench.tenant)
    with running(bench.consumer(later)):
        eventually(lambda: later.sent == second)


def test_a_consumer_that_is_stopped_right_after_its_first_batch_has_committed_it(bench: Bench) -> None:
    sent = bench.publish(5)
    sender = Sender(bench.tenant)
    handled = threading.Event()
    consumer = bench.consumer(Stopping(sender, handled, last=sent[-1]))
    with running(consumer):
        assert handled.wait(20)
    assert sender.sent == sent
    again = Sender(bench.tenant)
    (more,) = bench.publish(1)
    with running(bench.consumer(again)):
        eventually(lambda: bool(again.sent))
    assert again.sent == [more]


def test_only_the_failed_event_is_in_the_ledger_and_it_is_there_before_kafka_is_told(bench: Bench) -> None:
    sent = bench.publish(20)
    sender = Sender(
        bench.tenant, lambda event_id: PermanentFailure("cannot") if event_id == sent[7] else None
    )
    with running(bench.consumer(sender)):
        eventually(lambda: sender.sent[-1:] == sent[-1:])
        eventually(bench.committed_all)
    (failure,) = bench.ledger()
    assert (failure.reason, failure.error) == (failures.HANDLER, "PermanentFailure: cannot")
    # The batch came again one by one, so those before it took effect more than once: at least once.
    assert list(dict.fromkeys(sender.sent)) == sent[:7] + sent[8:]


def test_what_is_no_event_goes_to_the_ledger_unseen_by_the_handler(bench: Bench) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": bench.connection.bootstrap_servers})
    producer.produce(TOPIC, b"garbage", bench.tenant.encode())
    assert producer.flush(10) == 0
    sent = bench.publish(1)
    sender = Sender(bench.tenant)
    with running(bench.consumer(sender)):
        # It may be in another partition than the event: a foreign producer has its own way to choose one.
        eventually(lambda: sender.sent == sent and len(bench.ledger()) == 1)
    assert [failure.reason for failure in bench.ledger()] == ["not_cloudevents"]


def test_a_handler_that_asks_for_a_retry_gets_the_same_events_again_and_nothing_is_passed(
    bench: Bench,
) -> None:
    errors = iter([RetryLater("away"), ConnectionResetError("away")])
    sent = bench.publish(5)
    sender = Sender(bench.tenant, lambda _: next(errors, None))
    with running(bench.consumer(sender)):
        eventually(lambda: sender.sent == sent)
    assert bench.ledger() == []


def test_kafka_has_taken_the_commit_of_a_batch_before_the_next_one_is_handled(bench: Bench) -> None:
    admin = Admin(admin_config(bench.connection))
    committed: list[int] = []
    handled: list[int] = []

    class Asking:
        def handle(self, events: Sequence[Received]) -> None:
            ours = [item.record for item in events if item.event.tenantid == bench.tenant]
            if ours:
                committed.append(admin.committed(bench.group).get((TOPIC, ours[0].partition), -1))
                handled.append(ours[-1].offset)

    bench.publish(250)
    with running(bench.consumer(Asking())):
        eventually(lambda: len(handled) >= 3)
        eventually(bench.committed_all)
    assert all(told > last for told, last in zip(committed[1:], handled, strict=False))


@pytest.mark.slow
def test_partitions_change_hands_in_the_middle_of_work_and_nothing_comes_again(bench: Bench) -> None:
    """A partition that goes is told of, and the answer waited for, before it is another's."""
    tenants = [f"{bench.tenant}-{number}" for number in range(6)]
    senders = [Sender(tenant) for tenant in tenants]
    sent: dict[str, list[str]] = {tenant: [] for tenant in tenants}
    done = threading.Event()

    def publish() -> None:
        while not done.wait(0.005):
            for tenant in tenants:
                sent[tenant].append(bench.publish_one(tenant))

    feeding = threading.Thread(target=publish)
    with running(bench.consumer(Together(senders))) as one:
        feeding.start()
        try:
            for _ in range(2):
                with running(bench.consumer(Together(senders))) as two:
                    eventually(lambda: bool(one.assignment) and bool(two.assignment))
                    before = len(sent[tenants[0]])
                    eventually(lambda: len(sent[tenants[0]]) > before + 20)  # noqa: B023 - used at once
        finally:
            done.set()
            feeding.join()
        eventually(lambda: sum(len(sender.sent) for sender in senders) >= sum(map(len, sent.values())))
    assert {tenant: sender.sent for tenant, sender in zip(tenants, senders, strict=True)} == sent


def test_too_many_failures_in_a_row_stop_it_with_nothing_passed(bench: Bench) -> None:
    sent = bench.publish(10)
    broken = Sender(bench.tenant, lambda _: ValueError("a bad deploy"))
    with pytest.raises(BreakerOpen, match="5 events in a row"):
        bench.consumer(broken, failures_in_a_row_max=5).run()
    assert bench.ledger() == []
    sender = Sender(bench.tenant)
    with running(bench.consumer(sender)):
        eventually(lambda: sender.sent == sent)


def test_a_ledger_that_is_away_stops_the_commit(bench: Bench, store: Store) -> None:
    # Past what others have left in the topic: a bad record of theirs would wait for the ledger, too.
    first, earlier = bench.publish(1), Sender(bench.tenant)
    with running(bench.consumer(earlier)):
        eventually(lambda: earlier.sent == first)
    sent = bench.publish(3)
    failed = threading.Event()

    def objection(event_id: str) -> Exception | None:
        if event_id != sent[0]:
            return None
        failed.set()
        return PermanentFailure("cannot")

    with store.write() as tx:
        assert tx.in_transaction()  # Nobody else may write while this one is open.
        sender = Sender(bench.tenant, objection)
        consumer = bench.consumer(sender)
        thread = threading.Thread(target=consumer.run)
        thread.start()
        assert failed.wait(20)
        eventually(lambda: bool(sender.sent))
        assert not bench.committed_all()
    eventually(lambda: len(bench.ledger()) == 1)
    eventually(bench.committed_all)
    consumer.stop()
    thread.join()


def test_while_the_ledger_is_away_no_event_takes_effect_again(
    bench: Bench, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, earlier = bench.publish(1), Sender(bench.tenant)
    with running(bench.consumer(earlier)):
        eventually(lambda: earlier.sent == first)
        eventually(bench.committed_all)
    monkeypatch.setattr("trunkline.client.store.sqlite.BUSY_SECONDS", 0.05)
    impatient = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    registry = CollectorRegistry()

    def tries() -> float:
        name, labels = "trunkline_consumer_batch_seconds_count", {"group": bench.group}
        return registry.get_sample_value(name, labels) or 0.0

    sent = bench.publish(4)
    sender = Sender(bench.tenant, lambda event_id: PermanentFailure("no") if event_id == sent[1] else None)
    with ExitStack() as locked:
        locked.enter_context(store.write())
        with running(bench.consumer(sender, ledger=impatient, registry=registry)):
            eventually(lambda: sender.sent[-1:] == sent[-1:])
            before = tries()
            eventually(lambda: tries() > before + 5)
            locked.close()
            eventually(lambda: len(bench.ledger()) == 1)
            eventually(bench.committed_all)
    impatient.close()
    assert list(dict.fromkeys(sender.sent)) == [sent[0], *sent[2:]]
    # At most once with the whole batch, and once more when they came one by one.
    assert max(Counter(sender.sent).values()) <= 2


def test_a_world_that_goes_away_between_single_events_repeats_none_of_those_before(bench: Bench) -> None:
    away = iter([RetryLater("away")] * 3)
    sent = bench.publish(5)

    def objection(event_id: str) -> Exception | None:
        if event_id == sent[1]:
            return PermanentFailure("cannot")
        return next(away, None) if event_id == sent[3] else None

    sender = Sender(bench.tenant, objection)
    with running(bench.consumer(sender)):
        eventually(lambda: sender.sent[-1:] == sent[-1:])
    assert list(dict.fromkeys(sender.sent)) == [sent[0], *sent[2:]]
    assert sender.sent.count(sent[0]) <= 2
    assert len(bench.ledger()) == 1


def test_what_a_growth_has_added_waits_until_the_older_partitions_are_committed_up_to_it(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, event: Event, *, store: Store
) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    ensure_topics(connection, catalogue, "development")
    admin = Admin(admin_config(connection))
    growth = plan.begin(
        growth="g",
        run="r",
        topic=TOPIC,
        topic_id=admin.describe([TOPIC])[TOPIC].topic_id,
        before=1,
        after=3,
        max_message_bytes=None,
        at_ms=1,
    )
    journal = Journal(connection, admin)
    journal.append(growth)
    for stage in (Stage.DRAINED, Stage.GROWN):
        growth = plan.follow(growth, stage, run="r", at_ms=2, barriers={0: 1})
        journal.append(growth)
    producer: Producer[None] = Producer(producer_config(connection, ProducerOptions()))
    for event_id, partition in (("older", 0), ("later", 2)):
        made = new_envelope(event, tenant=TenantId("acme"), source="/query-engine", time=TIME, id=event_id)
        producer.send(TOPIC, encode_checked(made), None, partition)
    while len(producer):
        producer.poll(0.1)
    tried: list[str] = []
    may_go = threading.Event()

    def object_to(event_id: str) -> Exception | None:
        tried.append(event_id)
        return None if may_go.is_set() else RetryLater("not yet")

    handler = Sender("acme", object_to)
    consumer = PlainConsumer(
        service="notifier",
        topics=[TOPIC],
        handler=handler,
        ledger=store,
        connection=connection,
        options=ConsumerOptions(group="notifier"),
        backoff=Backoff(first=0.05, longest=0.2),
    )
    with running(consumer):
        eventually(lambda: len(tried) >= 10)
        assert set(tried) == {"older"}
        may_go.set()
        eventually(lambda: handler.sent == ["older", "later"])
