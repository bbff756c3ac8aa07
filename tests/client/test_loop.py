"""The loop around a consumer's work: stopping in time, being healthy, and what no waiting cures."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, ConsumerOptions, GroupProtocol, admin_config
from trunkline.client.errors import ClusterUnavailable, KafkaFailed, StopOverdue, TopicMissing
from trunkline.client.handler import Received
from trunkline.client.health import HealthLimits
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store, migrate, open_store
from trunkline.errors import InvalidInput
from trunkline.testing.consuming import CountingHandler, effects, eventually, running
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"
OUTAGE_VARIABLE = "TRUNKLINE_TEST_OUTAGE_SECONDS"
OUTAGE_SECONDS = 15.0

Build = Callable[..., ConsumerRuntime]


@pytest.fixture
def outage_seconds() -> float:
    """How long a broker is away; a longer time may be asked for in the environment."""
    return float(os.environ.get(OUTAGE_VARIABLE, OUTAGE_SECONDS))


@pytest.fixture
def build(connection: ConnectionOptions, store: Store, unique: Callable[[str], str]) -> Build:
    """A runtime in a group of the test's own; keywords replace what it is built from."""
    options = ConsumerOptions(group=unique("loop"), session_timeout_ms=6_000)

    def make(**changed: object) -> ConsumerRuntime:
        usual: dict[str, object] = {
            "service": "audit-service",
            "topics": [TOPIC],
            "handler": CountingHandler(store),
            "store": store,
            "connection": connection,
            "options": options,
            # Other tests leave records on the shared topic that are no events.
            "failures_in_a_row_max": 0,
        }
        return ConsumerRuntime(**{**usual, **changed})  # type: ignore[arg-type]  # each test's own

    return make


class Hanging:
    """An objection that hangs at the first event until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, _: Received) -> None:
        self.entered.set()
        self.let_go.wait(20)


def test_a_handler_that_hangs_cannot_keep_a_consumer_from_stopping_and_nothing_of_it_is_committed(
    build: Build, publisher: Publisher, event: Event, *, store: Store, unique: Callable[[str], str]
) -> None:
    tenant = unique("tenant")
    publisher.publish(event, tenant=tenant).result(10)
    hanging = Hanging()
    overdue = build(handler=CountingHandler(store, objection=hanging), stop_seconds=0.3)

    def stop_when_it_hangs() -> None:
        hanging.entered.wait(10)
        overdue.stop()

    stopper = threading.Thread(target=stop_when_it_hangs)
    stopper.start()
    with pytest.raises(StopOverdue, match=r"did not stop within 0\.3 s"):
        overdue.run()
    stopper.join()
    # It comes to its end after all, too late: its transaction must not.
    hanging.let_go.set()
    eventually(lambda: bool(overdue.not_live()))
    assert effects(store, tenant=tenant) == []
    with running(build()):
        eventually(lambda: len(effects(store, tenant=tenant)) == 1)


def test_a_consumer_is_ready_while_it_consumes_and_dead_when_it_hangs(
    build: Build, publisher: Publisher, event: Event, *, store: Store
) -> None:
    hanging = Hanging()
    limits = HealthLimits(loop=0.6, poll=0.4)
    runtime = build(handler=CountingHandler(store, objection=hanging), health_limits=limits)
    hanging.let_go.set()
    assert runtime.not_ready() == ["not joined yet"]
    with running(runtime):
        eventually(lambda: runtime.not_ready() == [])
        assert runtime.not_live() == []
        hanging.let_go.clear()
        hanging.entered.clear()
        publisher.publish(event, tenant="acme").result(10)
        assert hanging.entered.wait(10)
        eventually(lambda: bool(runtime.not_ready()))
        eventually(lambda: bool(runtime.not_live()))
        hanging.let_go.set()
        eventually(lambda: runtime.not_ready() == runtime.not_live() == [])
    assert runtime.not_live() == ["the consumer has ended: it was stopped"]


def test_a_cluster_that_never_answered_ends_a_consumer_that_was_given_a_time(build: Build) -> None:
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    with pytest.raises(ClusterUnavailable, match="TRUNKLINE_BOOTSTRAP_SERVERS"):
        build(connection=nowhere, start_seconds=0.5).run()


def test_a_refused_handshake_ends_it_and_names_the_settings(
    build: Build, connection: ConnectionOptions
) -> None:
    # The embedded broker knows no SASL and refuses every mechanism.
    security = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "p",
    }
    refused = ConnectionOptions(bootstrap_servers=connection.bootstrap_servers, security=security)
    with pytest.raises(KafkaFailed, match="TRUNKLINE_SASL_"):
        build(connection=refused).run()


def test_a_setting_that_the_library_does_not_know_is_refused_at_once(build: Build) -> None:
    wrong = ConnectionOptions(bootstrap_servers="127.0.0.1:1", security={"security.protocol": "NONE"})
    with pytest.raises(InvalidInput, match=r"correct security\.protocol"):
        build(connection=wrong).run()


@pytest.mark.slow
def test_a_topic_that_the_cluster_does_not_have_ends_it(build: Build) -> None:
    with pytest.raises(TopicMissing, match=r"has no topic no\.such\.topic"):
        build(topics=[TOPIC, "no.such.topic"]).run()


@pytest.mark.slow
def test_a_broker_that_is_too_old_for_the_protocol_ends_it_instead_of_hanging(
    build: Build, broker: BrokerProcess, catalogue: Catalogue
) -> None:
    # The embedded broker has no KIP-848; librdkafka then waits in silence.
    old = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(old, catalogue, "development")
    options = ConsumerOptions(group="new", protocol=GroupProtocol.CONSUMER)
    with pytest.raises(KafkaFailed, match="--group-protocol classic"):
        build(connection=old, options=options).run()


def test_members_that_disagree_on_their_topics_are_found_out(
    build: Build, store: Store, catalogue: Catalogue
) -> None:
    other = build(topics=[TOPIC, "tenant.lifecycle.events"])
    with running(other):
        # It looks every 0.2 s rather than every 10.
        runtime = build(monotonic=lambda: time.monotonic() * 50)
        with running(runtime, wait=False):
            eventually(lambda: any("disagrees on its topics" in text for text in runtime.not_ready()))


class Outage(Protocol):
    """A broker of the test's own that can be away; `connection` outlives that."""

    connection: ConnectionOptions

    def begin(self) -> None: ...
    def end(self) -> None: ...


class EmbeddedOutage:
    def __init__(self, broker: BrokerProcess) -> None:
        self.connection = ConnectionOptions(bootstrap_servers=broker.address)
        self.begin, self.end = broker.kill, broker.restart


class KafkaOutage:
    def __init__(self, cluster: KafkaCluster) -> None:
        self.connection = cluster.connection()
        self.begin, self.end = cluster.brokers[0].kill, cluster.brokers[0].start


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def outage(request: pytest.FixtureRequest) -> Outage:
    if request.param == "embedded":
        return EmbeddedOutage(request.getfixturevalue("broker_factory")())
    return KafkaOutage(request.getfixturevalue("kafka_factory")())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_consumer_whose_broker_is_away_turns_unready_and_recovers_by_itself(
    build: Build,
    outage: Outage,
    catalogue: Catalogue,
    *,
    event: Event,
    store: Store,
    outage_seconds: float,
) -> None:
    ensure_topics(outage.connection, catalogue, "development")
    runtime = build(connection=outage.connection)
    with Publisher(service="query-engine", connection=outage.connection, catalogue=catalogue) as publisher:
        sent = [publisher.publish(event, tenant="acme") for _ in range(10)]
        with running(runtime):
            eventually(lambda: len(effects(store)) == 10)
            outage.begin()
            gone = time.monotonic()
            eventually(lambda: bool(runtime.not_ready()), seconds=30)
            eventually(lambda: time.monotonic() - gone > outage_seconds, seconds=outage_seconds + 10)
            assert runtime.not_ready() != []
            assert runtime.not_live() == []
            outage.end()
            eventually(lambda: runtime.not_ready() == [], seconds=60)
            sent += [publisher.publish(event, tenant="acme") for _ in range(10)]
            eventually(lambda: len(effects(store)) == 20, seconds=60)
    assert [effect.event_id for effect in effects(store)] == [delivery.event_id for delivery in sent]


def test_a_store_that_is_away_since_the_assignment_makes_the_consumer_unready(
    build: Build, connection: ConnectionOptions, tmp_path: Path, unique: Callable[[str], str]
) -> None:
    file = tmp_path / "away" / "service.db"
    store = open_store(f"sqlite:///{file}")
    migrate(store)
    handler = CountingHandler(store)
    store.close()
    file.parent.rename(tmp_path / "kept")
    file.parent.write_text("not a directory")
    runtime = build(handler=handler, store=store, health_limits=HealthLimits(holding=0.3))
    with running(runtime, wait=False):
        eventually(lambda: any("cannot start" in reason for reason in runtime.not_ready()))
        (reason,) = runtime.not_ready()
        assert "store" in reason
        file.parent.unlink()
        (tmp_path / "kept").rename(file.parent)
        eventually(lambda: runtime.not_ready() == [])
    store.close()


@pytest.mark.kafka
def test_a_consumer_that_may_not_read_how_topics_have_grown_ends_and_names_the_right(
    build: Build, kafka_factory: Callable[..., KafkaCluster], catalogue: Catalogue
) -> None:
    cluster = kafka_factory(sasl=Sasl(users={"admin": "secret", "guest": "guest"}))
    ensure_topics(ConnectionOptions(bootstrap_servers=cluster.internal_servers), catalogue, "development")
    admin = AdminClient({"bootstrap.servers": cluster.internal_servers})
    acls = [
        AclBinding(
            kind,
            name,
            ResourcePatternType.LITERAL,
            "User:guest",
            "*",
            AclOperation.READ,
            AclPermissionType.ALLOW,
        )
        for kind, name in ((ResourceType.TOPIC, TOPIC), (ResourceType.GROUP, "guests"))
    ]
    for granted in admin.create_acls(acls).values():
        granted.result(30)
    runtime = build(
        connection=cluster.connection("guest", "guest"),
        options=ConsumerOptions(group="guests", session_timeout_ms=6_000),
    )
    with pytest.raises(KafkaFailed, match=r"grant its principal Read on topic trunkline\.growth\.journal"):
        runtime.run()


@pytest.mark.slow
def test_a_partition_that_its_broker_cannot_read_makes_the_consumer_unready_and_says_where(
    build: Build,
    broker_factory: Callable[..., BrokerProcess],
    catalogue: Catalogue,
    event: Event,
    tmp_path: Path,
) -> None:
    directory = tmp_path / "broken"
    there = ConnectionOptions(bootstrap_servers=broker_factory(directory).address)
    ensure_topics(there, catalogue, "development")
    with Publisher(service="query-engine", connection=there, catalogue=catalogue) as publisher:
        deliveries = [publisher.publish(event, tenant="acme") for _ in range(1_000)]
        for delivery in deliveries:
            delivery.result(10)
    log = max(directory.rglob("*.log"), key=lambda file: file.stat().st_size)
    # The last batch's header stays, so that the broker goes on to promise it.
    os.truncate(log, log.stat().st_size - 1)
    runtime = build(connection=there, health_limits=HealthLimits(fetching=1.0))
    with running(runtime, wait=False):
        eventually(lambda: any("does not hand out the records" in why for why in runtime.not_ready()))


@pytest.mark.kafka
def test_a_partition_that_no_broker_leads_makes_the_consumer_unready_and_keeps_no_other_from_being_read(
    build: Build, kafka_factory: Callable[..., KafkaCluster]
) -> None:
    cluster = kafka_factory(brokers=3)
    there = cluster.connection()
    admin = Admin(admin_config(there))
    admin.create(TOPIC, partitions=3, replication_factor=1, config={"min.insync.replicas": "1"})
    eventually(lambda: all(leader > 0 for leader in leaders(admin).values()) and len(leaders(admin)) == 3)
    cluster.brokers[leaders(admin)[0] - 1].kill()
    eventually(lambda: leaders(admin)[0] == -1, seconds=60)
    runtime = build(connection=there, health_limits=HealthLimits(holding=1.0))
    with running(runtime, wait=False):
        assert runtime.wait_started(60)
        eventually(lambda: any("no broker leads them" in why for why in runtime.not_ready()), seconds=60)


def leaders(admin: Admin) -> dict[int, int]:
    return {number: it.leader for (topic, number), it in admin.cluster().partitions.items() if topic == TOPIC}
