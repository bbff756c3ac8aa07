"""Instances beside a real cluster: they converge from the topic alone and say when they cannot."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.cimpl import NewPartitions

from trunkline.catalogue.events.config import TOPIC, ConfigValueSet
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.entries import Reason
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.broadcast.options import BroadcastOptions
from trunkline.client.broadcast.overview import Standing
from trunkline.client.broadcast.reading import WholeState, read_overview, read_state
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Admin
from trunkline.client.publisher import Publisher
from trunkline.errors import InvalidInput, Unavailable
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess

QUICK = BroadcastOptions(check_seconds=0.2, stale_seconds=2.0)
Start = Callable[..., Broadcast]


class OwnCluster(NamedTuple):
    """A cluster of the test's own, whose brokers may be killed."""

    address: str
    kill: Callable[[], None]
    """The first broker."""
    restart: Callable[[], None]
    strike: Callable[[], None]
    """Kill a broker, and see to it that there are enough to go on."""


def of_one(address: str, kill: Callable[[], None], restart: Callable[[], None]) -> OwnCluster:
    def strike() -> None:
        kill()
        restart()

    return OwnCluster(address, kill, restart, strike)


def of_three(kafka: KafkaCluster) -> OwnCluster:
    """Each strike hits a leader, which stays dead until the next one."""

    def strike() -> None:
        for broker in kafka.brokers:
            broker.start()
        eventually(lambda: kafka.leader_of(TOPIC, 0) is not None)
        leader = kafka.leader_of(TOPIC, 0)
        assert leader is not None
        leader.kill()

    first = kafka.brokers[0]
    return OwnCluster(kafka.bootstrap_servers, first.kill, first.start, strike)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def own(request: pytest.FixtureRequest, catalogue: Catalogue) -> OwnCluster:
    """Of each engine in turn, with the contract's topics; `kafka-3` has three brokers, as in production."""
    environment = "development"
    if request.param == "embedded":
        process: BrokerProcess = request.getfixturevalue("broker_factory")()
        found = of_one(process.address, process.kill, process.restart)
    elif request.param == "kafka":
        kafka: KafkaCluster = request.getfixturevalue("kafka_factory")()
        found = of_one(kafka.bootstrap_servers, kafka.brokers[0].kill, kafka.brokers[0].start)
    else:
        found = of_three(request.getfixturevalue("kafka_factory")(brokers=3))
        environment = "production"
    ensure_topics(ConnectionOptions(bootstrap_servers=found.address), catalogue, environment)
    return found


@pytest.fixture
def cluster(own: OwnCluster) -> ConnectionOptions:
    return ConnectionOptions(bootstrap_servers=own.address)


@pytest.fixture
def config_service(cluster: ConnectionOptions, catalogue: Catalogue) -> Iterator[Publisher]:
    with Publisher(service="config-service", connection=cluster, catalogue=catalogue) as opened:
        yield opened


@pytest.fixture
def start(cluster: ConnectionOptions, catalogue: Catalogue) -> Iterator[Start]:
    """Starts instances that are stopped at the end: `start("audit-service", "1")`."""
    with ExitStack() as running:

        def begin(
            service: str = "query-engine", instance: str = "1", options: BroadcastOptions = QUICK
        ) -> Broadcast:
            return running.enter_context(
                Broadcast(
                    service=service,
                    instance=instance,
                    connection=cluster,
                    catalogue=catalogue,
                    options=options,
                )
            )

        yield begin


def set_value(publisher: Publisher, key: str, value: Any, version: int, *, tenant: str | None = None) -> None:
    event = ConfigValueSet(
        key=key,
        level="global" if tenant is None else "tenant",
        scope=tenant,
        value=value,
        version=version,
        actor_id="u",
    )
    publisher.publish(event, tenant=tenant or "system").result(20)


def add_partitions(address: str, number: int) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_partitions([NewPartitions(TOPIC, number)])[TOPIC].result(10)


def create_again(address: str, catalogue: Catalogue) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.delete_topics([TOPIC])[TOPIC].result(10)
    connection = ConnectionOptions(bootstrap_servers=address)
    eventually(lambda: not Admin(admin_config(connection)).describe([TOPIC]))
    ensure_topics(connection, catalogue, "development")


def value(config: Broadcast, key: str, tenant: str | None = None) -> Any:
    return config.resolve(key, tenant=tenant).value


def test_what_was_published_before_and_after_the_start_is_resolved(
    start: Start, config_service: Publisher
) -> None:
    set_value(config_service, "limit", 5, 1)
    config = start()
    assert config.wait_current(20)
    assert config.resolve("limit").reason is Reason.FOUND
    assert value(config, "limit") == 5
    set_value(config_service, "limit", 6, 2)
    set_value(config_service, "limit", 7, 1, tenant="acme")
    eventually(lambda: value(config, "limit") == 6 and value(config, "limit", "acme") == 7)
    assert config.resolve("no.such", default=1).reason is Reason.DEFAULT
    assert config.unready_reason is None


def test_nothing_is_committed_and_no_group_is_left_behind(
    start: Start, config_service: Publisher, own: OwnCluster
) -> None:
    set_value(config_service, "limit", 5, 1)
    config = start()
    assert config.wait_current(20)
    config.stop()
    admin = AdminClient({"bootstrap.servers": own.address})
    assert list(admin.list_consumer_groups().result(10).valid) == []


@pytest.mark.parametrize("own", ["embedded"], indirect=True)
def test_a_poison_record_is_reported_and_stops_nobody(
    start: Start, config_service: Publisher, own: OwnCluster, cluster: ConnectionOptions
) -> None:
    set_value(config_service, "limit", 5, 1)
    producer = confluent_kafka.Producer({"bootstrap.servers": own.address})
    producer.produce(TOPIC, b"no event", key=b"acme")
    assert producer.flush(10) == 0
    config = start()
    assert config.wait_current(20)
    assert (value(config, "limit"), config.rejected) == (5, 1)

    def reported() -> bool:
        views = read_overview(cluster, now=datetime.now(UTC))
        return [view.rejected for view in views] == [1] and "not_cloudevents" in (
            views[0].last_rejected or ""
        )

    eventually(reported)


def test_a_partition_that_is_added_is_read_from_its_beginning(
    start: Start, config_service: Publisher, own: OwnCluster
) -> None:
    config = start()
    assert config.wait_current(20)
    add_partitions(own.address, 12)
    for number in range(20):
        set_value(config_service, "limit", number, 1, tenant=f"tenant-{number}")
    eventually(lambda: all(value(config, "limit", f"tenant-{number}") == number for number in range(20)))


def test_while_the_broker_is_away_the_last_value_stays_and_becomes_stale_and_then_it_recovers(
    start: Start, config_service: Publisher, own: OwnCluster
) -> None:
    set_value(config_service, "limit", 5, 1)
    config = start()
    assert config.wait_current(20)
    own.kill()
    eventually(lambda: config.resolve("limit").reason is Reason.STALE)
    assert value(config, "limit") == 5
    assert config.resolve("no.such", default=1).reason is Reason.STALE
    assert "stale" in (config.unready_reason or "")
    own.restart()
    set_value(config_service, "limit", 6, 2)
    eventually(lambda: value(config, "limit") == 6 and not config.stale)
    assert config.resolve("limit").reason is Reason.FOUND


def test_a_topic_that_is_created_again_is_read_anew_and_until_then_nothing_is_forgotten(
    start: Start, config_service: Publisher, own: OwnCluster, catalogue: Catalogue
) -> None:
    set_value(config_service, "limit", 5, 7)
    config = start()
    assert config.wait_current(20)
    create_again(own.address, catalogue)
    eventually(lambda: config.stale)
    assert value(config, "limit") == 5
    set_value(config_service, "limit", 6, 1)
    eventually(lambda: value(config, "limit") == 6 and not config.stale)


def test_an_instance_starts_with_what_it_knew_while_the_bus_is_down(
    start: Start, config_service: Publisher, own: OwnCluster, tmp_path: Path
) -> None:
    options = BroadcastOptions(
        check_seconds=0.2, stale_seconds=2.0, last_known_good=tmp_path / "kept" / "config.json"
    )
    set_value(config_service, "limit", 5, 1)
    config = start(options=options)
    assert config.wait_current(20)
    config.stop()
    own.kill()
    again = start(instance="2", options=options)
    assert (again.resolve("limit").value, again.resolve("limit").reason) == (5, Reason.STALE)
    assert not again.wait_current(0.1)
    assert "not read yet" in (again.unready_reason or "")
    own.restart()
    assert again.wait_current(20)
    eventually(lambda: again.resolve("limit").reason is Reason.FOUND)


def test_a_snapshot_alone_makes_a_new_instance_the_same(
    start: Start,
    config_service: Publisher,
    own: OwnCluster,
    cluster: ConnectionOptions,
    catalogue: Catalogue,
) -> None:
    for number in range(10):
        set_value(config_service, "limit", number, 1, tenant=f"tenant-{number}")
    before = read_state(cluster).state
    create_again(own.address, catalogue)
    for part in snapshot_events(before.entries, snapshot_id="snap-1", version=1):
        config_service.publish(part, tenant=SYSTEM_TENANT).result(20)
    config = start()
    assert config.wait_current(20)
    assert config.digest == before.digest
    assert value(config, "limit", "tenant-7") == 7


@pytest.mark.parametrize("own", ["embedded"], indirect=True)
def test_a_service_that_does_not_read_the_configuration_is_refused(
    cluster: ConnectionOptions, catalogue: Catalogue
) -> None:
    with pytest.raises(InvalidInput, match="unknown service"):
        Broadcast(service="nobody", instance="1", connection=cluster, catalogue=catalogue)
    with pytest.raises(InvalidInput, match="twice as long"):
        BroadcastOptions(check_seconds=5, stale_seconds=6)


def test_settings_that_the_kafka_client_refuses_are_refused_at_once(catalogue: Catalogue) -> None:
    security = {"security.protocol": "ssl", "ssl.ca.location": "/no/such/file"}
    connection = ConnectionOptions(bootstrap_servers="127.0.0.1:1", security=security)
    with pytest.raises(InvalidInput, match="ssl"):
        Broadcast(service="query-engine", instance="1", connection=connection, catalogue=catalogue)


@pytest.mark.kafka
def test_an_instance_that_may_not_read_the_topic_says_so(
    kafka_factory: Callable[..., KafkaCluster], catalogue: Catalogue
) -> None:
    kafka = kafka_factory(sasl=Sasl(users={"admin": "secret", "guest": "guest"}))
    ensure_topics(kafka.connection("admin"), catalogue, "development")
    admin = AdminClient({"bootstrap.servers": kafka.internal_servers})
    may_see = AclBinding(
        ResourceType.TOPIC,
        TOPIC,
        ResourcePatternType.LITERAL,
        "User:guest",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.ALLOW,
    )
    admin.create_acls([may_see])[may_see].result(10)
    connection = kafka.connection("guest")
    with Broadcast(
        service="query-engine", instance="1", connection=connection, catalogue=catalogue, options=QUICK
    ) as config:
        eventually(lambda: f"Read on topic {TOPIC}" in (config.unready_reason or ""))


@pytest.mark.slow
@pytest.mark.parametrize("own", ["embedded", pytest.param("kafka-3", marks=pytest.mark.kafka)], indirect=True)
def test_thirteen_services_of_two_instances_come_to_one_digest(
    start: Start,
    config_service: Publisher,
    own: OwnCluster,
    cluster: ConnectionOptions,
    catalogue: Catalogue,
) -> None:
    """While partitions are added, brokers are killed and an instance restarts. One of
    three brokers stays dead."""
    instances = [start(service, name) for service in catalogue.services for name in ("1", "2")]
    assert len(instances) == 26
    assert all(config.wait_current(60) for config in instances)
    for number in range(60):
        set_value(config_service, "limit", number, number + 1, tenant=f"tenant-{number % 20}")
        if number == 15:
            add_partitions(own.address, 6)
        if number in (25, 35):
            own.strike()
        if number == 45:
            instances[0].stop()
            instances[0] = start("audit-service", "1-again")
    found: list[WholeState] = []

    def readable() -> bool:
        try:
            found.append(read_state(cluster))
        except (Unavailable, KafkaFailed):
            return False
        return True

    eventually(readable)
    truth = found[0]
    assert truth.rejected == 0
    eventually(lambda: {config.digest for config in instances} == {truth.state.digest}, seconds=60)

    def all_current() -> bool:
        views = read_overview(cluster, now=datetime.now(UTC))
        return len(views) == 26 and {view.standing for view in views} == {Standing.CURRENT}

    eventually(all_current, seconds=60)
