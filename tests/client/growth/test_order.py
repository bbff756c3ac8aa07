"""Every tenant's events take effect in the order published while a topic grows, and not without it."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.client.admin import create_topic, ensure_topics
from trunkline.client.config import (
    PARTITIONS_LEASE_SECONDS,
    ConnectionOptions,
    ConsumerOptions,
    admin_config,
)
from trunkline.client.growth.grow import Grower
from trunkline.client.handler import Received, RetryLater
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store
from trunkline.testing.consuming import CountingHandler, effects, eventually, running
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"
PUBLISHERS = 3
TENANTS = [f"tenant-{number}" for number in range(30)]
EACH = 20
"""Events of each tenant before the topic grows, and after."""

STUCK_SECONDS = 3.0
"""How long a late group makes no progress in the old partitions, while nothing keeps it from the new ones."""

pytestmark = pytest.mark.slow


class Bench:
    """Publishers with their own leases and tenants, and what each tenant has had published, in order."""

    def __init__(self, connection: ConnectionOptions, event: Event) -> None:
        self.connection = connection
        self.sent: defaultdict[str, list[str]] = defaultdict(list)
        self._event = event
        self._publishers = [
            Publisher(service="query-engine", connection=connection, catalogue=load_catalogue(None))
            for _ in range(PUBLISHERS)
        ]

    def close(self) -> None:
        for publisher in self._publishers:
            publisher.close()

    def publish(self, each: int) -> None:
        """So many events of every tenant, all acknowledged at the end."""
        deliveries = []
        for _ in range(each):
            for number, tenant in enumerate(TENANTS):
                delivery = self._publishers[number % PUBLISHERS].publish(self._event, tenant=tenant)
                self.sent[tenant].append(delivery.event_id)
                deliveries.append(delivery)
        for delivery in deliveries:
            delivery.result(60)

    def runtime(self, store: Store, group: str, *, stuck: bool = False) -> ConsumerRuntime:
        """A member of a group; a `stuck` one has a backlog in the old partitions, and a while to go."""
        began: list[float] = []

        def objection(received: Received) -> Exception | None:
            if not stuck or received.record.partition >= 3:
                return None
            began.append(time.monotonic())
            return RetryLater("a backlog") if began[-1] < began[0] + STUCK_SECONDS else None

        return ConsumerRuntime(
            service="audit-service",
            topics=[TOPIC],
            handler=CountingHandler(store, objection=objection),
            store=store,
            connection=self.connection,
            options=ConsumerOptions(group=group, session_timeout_ms=6_000),
        )

    def wait_for_all(self, store: Store) -> None:
        total = sum(len(ids) for ids in self.sent.values())
        eventually(lambda: len(effects(store)) >= total, seconds=60)

    def reordered(self, store: Store) -> list[str]:
        """Tenants whose events took effect in another order than they were published in."""
        seen: defaultdict[str, list[str]] = defaultdict(list)
        for effect in effects(store):
            seen[effect.tenantid].append(effect.event_id)
        assert {tenant: sorted(ids) for tenant, ids in seen.items()} == {
            tenant: sorted(ids) for tenant, ids in self.sent.items()
        }
        return [tenant for tenant, ids in self.sent.items() if seen[tenant] != ids]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectionOptions]:
    """Three brokers of this module's own: its topic grows, which the other modules' must not."""
    with KafkaCluster(tmp_path_factory.mktemp("kafka"), brokers=3) as cluster:
        yield cluster.connection()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def bench(request: pytest.FixtureRequest, event: Event) -> Iterator[Bench]:
    if request.param == "kafka":
        connection: ConnectionOptions = request.getfixturevalue("cluster")
        environment = "production"
        admin = Admin(admin_config(connection))
        if admin.describe([TOPIC]):
            admin.delete(TOPIC)
            eventually(lambda: not admin.describe([TOPIC]))
        settings = next(t for t in topic_settings(load_catalogue(None), environment) if t.name == TOPIC)
        recreated = replace(settings, partitions=3)
        eventually(lambda: create_topic(admin, recreated))
    else:
        start: Callable[..., BrokerProcess] = request.getfixturevalue("broker_factory")
        connection, environment = ConnectionOptions(bootstrap_servers=start().address), "development"
    ensure_topics(connection, load_catalogue(None), environment)
    bench = Bench(connection, event)
    yield bench
    bench.close()


def partitions(bench: Bench) -> int:
    return Admin(admin_config(bench.connection)).describe([TOPIC])[TOPIC].partitions


def test_under_load_no_tenants_events_change_their_order(bench: Bench, store: Store) -> None:
    done = threading.Event()

    def feed() -> None:
        while not done.is_set():
            bench.publish(1)

    feeding = threading.Thread(target=feed)
    with running(bench.runtime(store, "group")), running(bench.runtime(store, "group")):
        feeding.start()
        try:
            eventually(lambda: len(effects(store)) > 0)
            Grower(bench.connection).grow(TOPIC, 6)
            before = len(effects(store))
            eventually(lambda: len(effects(store)) > before)
            eventually(lambda: any(effect.partition >= 3 for effect in effects(store)), seconds=40)
        finally:
            done.set()
            feeding.join()
        bench.wait_for_all(store)
    assert bench.reordered(store) == []
    assert partitions(bench) == 6


def test_a_group_that_comes_late_sees_every_tenant_in_order(bench: Bench, store: Store) -> None:
    bench.publish(EACH)
    Grower(bench.connection).grow(TOPIC, 6)
    bench.publish(EACH)
    with running(bench.runtime(store, "late", stuck=True)):
        bench.wait_for_all(store)
    assert any(effect.partition >= 3 for effect in effects(store))
    assert bench.reordered(store) == []


def test_the_unsafe_way_under_the_same_load_reorders(bench: Bench, store: Store) -> None:
    bench.publish(EACH)
    Grower(bench.connection).grow_unsafely(TOPIC, 6)
    threading.Event().wait(PARTITIONS_LEASE_SECONDS + 1)
    bench.publish(EACH)
    with running(bench.runtime(store, "late", stuck=True)):
        bench.wait_for_all(store)
    assert bench.reordered(store) != []
