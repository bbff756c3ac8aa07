"""What Prometheus sees of a cluster, held against Kafka's own administration client."""

from collections.abc import Callable, Iterator
from contextlib import closing

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it re-exports silently
from confluent_kafka.admin._acl import AclBinding, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions
from trunkline.client.exporter import (
    FAMILIES,
    GROUPS_MAX,
    ClusterCollector,
    View,
    samples_of,
)
from trunkline.client.kafka import ClusterState, Replicas, admin
from trunkline.client.lag import lag_of
from trunkline.testing.consuming import eventually
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.kafka_config import Sasl
from trunkline.testing.processes import BrokerProcess

TOPIC = "observed.by.exporter"
GROUP = "observed-group"
DONE = "observed-and-done"
STAMP_MS = 1_700_000_000_000
NOW = 1_700_000_060.0


@pytest.fixture(scope="module")
def worked(engine: ConnectionOptions) -> ConnectionOptions:
    """A cluster with ten records in one partition, of which one group has consumed four and another all."""
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": engine.bootstrap_servers}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(TOPIC, 3, 1, config={"retention.ms": "-1"})])[TOPIC].result(10)
    producer = confluent_kafka.Producer(servers)
    for _ in range(10):
        producer.produce(TOPIC, b"x", partition=1, timestamp=STAMP_MS)
    assert producer.flush(10) == 0
    for group, offset in ((GROUP, 4), (DONE, 10)):
        consumer = confluent_kafka.Consumer({**servers, "group.id": group})
        position = confluent_kafka.TopicPartition(TOPIC, 1, offset)
        consumer.commit(offsets=[position], asynchronous=False)
        consumer.close()
    return engine


@pytest.fixture
def registry(worked: ConnectionOptions, catalogue: Catalogue) -> Iterator[CollectorRegistry]:
    made = CollectorRegistry()
    with closing(ClusterCollector(worked, catalogue, wall=lambda: NOW)) as collector:
        made.register(collector)
        yield made


def test_lag_is_told_in_records_and_in_seconds_under_the_names_that_dashboards_know(
    registry: CollectorRegistry,
) -> None:
    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    here = {"consumergroup": GROUP, "topic": TOPIC}
    assert value("kafka_consumergroup_lag", **here, partition="1") == 6
    assert value("kafka_consumergroup_lag", **here, partition="0") is None
    assert value("kafka_consumergroup_lag_sum", **here) == 6
    assert value("kafka_consumergroup_current_offset", **here, partition="1") == 4
    assert value("kafka_consumergroup_current_offset", **here, partition="0") is None
    assert value("kafka_consumergroup_current_offset_sum", **here) == 4
    assert value("kafka_consumergroup_members", consumergroup=GROUP) == 0
    seconds = {"group": GROUP}
    assert value("kafka_consumergroup_group_lag_seconds", **seconds, topic=TOPIC, partition="1") == 60
    assert value("kafka_consumergroup_group_max_lag_seconds", **seconds) == 60
    assert value("kafka_consumergroup_group_max_lag_seconds", group=DONE) == 0
    assert value("trunkline_exporter_up") == 1
    assert value("trunkline_exporter_unread_positions") == 0


def test_the_cluster_is_told_as_the_administration_client_tells_it(
    registry: CollectorRegistry, worked: ConnectionOptions
) -> None:
    told = AdminClient({"bootstrap.servers": worked.bootstrap_servers}).list_topics(timeout=10)
    assert registry.get_sample_value("kafka_brokers") == len(told.brokers)
    for name, topic in told.topics.items():
        assert registry.get_sample_value("kafka_topic_partitions", {"topic": name}) == len(topic.partitions)
        for number, partition in topic.partitions.items():
            here = {"topic": name, "partition": str(number)}
            for metric, expected in {
                "leader": partition.leader,
                "leader_is_preferred": partition.leader == partition.replicas[0],
                "replicas": len(partition.replicas),
                "in_sync_replica": len(partition.isrs),
                "under_replicated_partition": len(partition.isrs) < len(partition.replicas),
            }.items():
                assert registry.get_sample_value(f"kafka_topic_partition_{metric}", here) == expected, metric
    consumer = confluent_kafka.Consumer({"bootstrap.servers": worked.bootstrap_servers, "group.id": "nobody"})
    low, high = consumer.get_watermark_offsets(confluent_kafka.TopicPartition(TOPIC, 1))
    consumer.close()
    here = {"topic": TOPIC, "partition": "1"}
    assert registry.get_sample_value("kafka_topic_partition_oldest_offset", here) == low
    assert registry.get_sample_value("kafka_topic_partition_current_offset", here) == high == 10


def test_no_label_carries_a_tenant(registry: CollectorRegistry) -> None:
    labels = {name for family in registry.collect() for sample in family.samples for name in sample.labels}
    assert labels == {"id", "address", "consumergroup", "group", "topic", "partition"}


def test_every_family_is_told(registry: CollectorRegistry) -> None:
    assert {family.name for family in registry.collect()} == {family.name for family in FAMILIES}


def test_scrapes_in_quick_succession_share_one_look(worked: ConnectionOptions, catalogue: Catalogue) -> None:
    now = [0.0]
    collector = ClusterCollector(worked, catalogue, cache_seconds=5.0, monotonic=lambda: now[0])
    with closing(collector):
        first = collector.collect()
        now[0] = 4.9
        assert collector.collect() is first
        now[0] = 5.0
        assert collector.collect() is not first


def test_a_cluster_that_is_away_is_down_and_shows_no_old_figures(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "REPLY_SECONDS", 0.5)
    broker = broker_factory()
    made = CollectorRegistry()
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    with closing(ClusterCollector(connection, catalogue, cache_seconds=0)) as collector:
        made.register(collector)
        assert made.get_sample_value("kafka_brokers") == 1
        broker.kill()
        assert made.get_sample_value("trunkline_exporter_up") == 0
        assert made.get_sample_value("kafka_brokers") is None


def test_a_partition_without_a_leader_and_one_with_a_replica_behind_are_told() -> None:
    cluster = ClusterState(
        {1: "one:9092", 2: "two:9092"},
        {("t", 0): Replicas(-1, (3, 1), (1,)), ("t", 1): Replicas(2, (1, 2), (1, 2))},
    )
    view = View(
        cluster=cluster,
        bounds={("t", 1): (0, 5)},
        members={"g": 2},
        lags=(lag_of("g", ("t", 1), committed=None, bounds=(0, 5)),),
        omitted_groups=GROUPS_MAX,
    )
    samples = samples_of(view, view.lags)
    assert samples["kafka_topic_partition_leader"] == [(("t", "0"), -1), (("t", "1"), 2)]
    assert samples["kafka_topic_partition_leader_is_preferred"] == [(("t", "0"), 0), (("t", "1"), 0)]
    assert samples["kafka_topic_partition_under_replicated_partition"] == [(("t", "0"), 1), (("t", "1"), 0)]
    assert samples["kafka_consumergroup_lag"] == [(("g", "t", "1"), 5)]
    assert samples["kafka_consumergroup_current_offset"] == []
    assert samples["trunkline_exporter_unread_positions"] == [((), 1)]
    assert samples["trunkline_exporter_omitted_groups"] == [((), GROUPS_MAX)]


@pytest.mark.kafka
def test_a_broker_that_dies_shows_in_its_replicas_within_the_same_names(
    kafka_factory: Callable[..., KafkaCluster], catalogue: Catalogue
) -> None:
    cluster = kafka_factory(brokers=3)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
    admin.create_topics([NewTopic(TOPIC, 3, 3)])[TOPIC].result(30)
    registry = CollectorRegistry()

    def value(name: str, **labels: str) -> float:
        return registry.get_sample_value(name, labels) or 0.0

    def behind() -> float:
        name = "kafka_topic_partition_under_replicated_partition"
        return sum(value(name, topic=TOPIC, partition=str(number)) for number in range(3))

    with closing(ClusterCollector(cluster.connection(), catalogue, cache_seconds=0.5)) as collector:
        registry.register(collector)
        eventually(lambda: value("kafka_brokers") == 3 and behind() == 0, seconds=30)
        cluster.brokers[2].kill()
        eventually(lambda: value("kafka_brokers") == 2 and behind() == 3, seconds=60)
        assert value("trunkline_exporter_up") == 1
        eventually(
            lambda: all(
                value("kafka_topic_partition_leader", topic=TOPIC, partition=str(number)) >= 0
                for number in range(3)
            ),
            seconds=30,
        )


@pytest.mark.kafka
def test_a_topic_that_it_may_not_read_has_its_lag_without_seconds_and_takes_nothing_from_the_others(
    kafka_factory: Callable[..., KafkaCluster], catalogue: Catalogue
) -> None:
    """Describe is all that the lag in records takes, and all that many an operator grants."""
    cluster = kafka_factory(sasl=Sasl(users={"admin": "secret", "exporter": "secret"}))
    past_acls: dict[str, str | int | float | bool] = {"bootstrap.servers": cluster.internal_servers}
    admin = AdminClient(past_acls)
    readable, forbidden = "may.be.read", "may.not.be.read"
    topics = [NewTopic(name, 1, 1, config={"retention.ms": "-1"}) for name in (readable, forbidden)]
    for future in admin.create_topics(topics).values():
        future.result(30)
    grants = [
        (ResourceType.TOPIC, "*", AclOperation.DESCRIBE),
        (ResourceType.GROUP, "*", AclOperation.DESCRIBE),
        (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE),
        (ResourceType.TOPIC, readable, AclOperation.READ),
    ]
    acls = [
        AclBinding(
            kind, name, ResourcePatternType.LITERAL, "User:exporter", "*", operation, AclPermissionType.ALLOW
        )
        for kind, name, operation in grants
    ]
    for granted in admin.create_acls(acls).values():
        granted.result(30)
    producer = confluent_kafka.Producer(past_acls)
    consumer = confluent_kafka.Consumer({**past_acls, "group.id": GROUP})
    for name in (forbidden, readable):
        producer.produce(name, b"x", partition=0, timestamp=STAMP_MS)
        assert producer.flush(10) == 0
        consumer.commit(offsets=[confluent_kafka.TopicPartition(name, 0, 0)], asynchronous=False)
    consumer.close()

    registry = CollectorRegistry()

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    here = {"group": GROUP, "partition": "0"}
    collector = ClusterCollector(cluster.connection("exporter"), catalogue, cache_seconds=0, wall=lambda: NOW)
    with closing(collector), capture_logs() as told:
        registry.register(collector)
        for _ in range(2):
            assert value("trunkline_exporter_up") == 1
        for name in (forbidden, readable):
            assert value("kafka_consumergroup_lag_sum", consumergroup=GROUP, topic=name) == 1
        assert value("kafka_consumergroup_group_lag_seconds", topic=forbidden, **here) is None
        eventually(
            lambda: value("kafka_consumergroup_group_lag_seconds", topic=readable, **here) == 60, seconds=30
        )
        assert value("trunkline_exporter_unread_positions") == 1
    (line,) = told
    assert line["topic"] == forbidden
    assert f"grant its principal Read on topic {forbidden}" in line["error"]
