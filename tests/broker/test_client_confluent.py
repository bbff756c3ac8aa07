"""librdkafka through confluent-kafka, with the configuration the platform's services use."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from trunkline.testing.processes import BrokerProcess

MakeTopic = Callable[..., str]

DEADLINE_S = 20.0
CONTRACT = {
    "acks": "all",
    "retries": 3,
    "enable.idempotence": True,
    "max.in.flight.requests.per.connection": 1,
    "compression.type": "snappy",
    "partitioner": "murmur2_random",
}


def producer(broker: BrokerProcess, **config: Any) -> Producer:
    """A producer with the contract's configuration."""
    return Producer({"bootstrap.servers": broker.address, "linger.ms": 5, **CONTRACT, **config})


@pytest.fixture(scope="module")
def writer(broker: BrokerProcess) -> Producer:
    """One producer for all: an idempotent one takes half a second to start."""
    return producer(broker)


def consumer(broker: BrokerProcess, group: str, **config: Any) -> Consumer:
    """A consumer that commits when it says so."""
    return Consumer(
        {
            "bootstrap.servers": broker.address,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            **config,
        }
    )


def produce(client: Producer, topic: str, values: range, *, partition: int = -1) -> None:
    """Produce numbers with keys and wait until all are acknowledged."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    for value in values:
        client.produce(
            topic,
            key=f"tenant-{value % 7}",
            value=str(value),
            partition=partition,
            headers=[("ce_id", str(value).encode()), ("empty", None)],
            on_delivery=delivered,
        )
    assert client.flush(DEADLINE_S) == 0
    assert failed == []


def consume(client: Consumer, count: int, deadline_s: float = DEADLINE_S) -> list[Message]:
    """That many messages, or an assertion that says how many came."""
    messages: list[Message] = []
    deadline = time.monotonic() + deadline_s
    while len(messages) < count and time.monotonic() < deadline:
        message = client.poll(0.1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        messages.append(message)
    assert len(messages) == count
    return messages


def numbers(messages: list[Message]) -> list[int]:
    """What `produce` put in."""
    return [int(message.value() or b"") for message in messages]


def poll_until(clients: list[Consumer], condition: Callable[[], bool]) -> None:
    """Let consumers do their group's work until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the group did not get there"
        for client in clients:
            client.poll(0.02)


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_a_group_reads_every_record_in_the_order_of_its_key(
    broker: BrokerProcess, make_topic: MakeTopic, strategy: str, writer: Producer
) -> None:
    topic = make_topic(6)
    produce(writer, topic, range(500))
    reader = consumer(broker, f"{topic}.group", **{"partition.assignment.strategy": strategy})
    reader.subscribe([topic])
    messages = consume(reader, 500)
    assert sorted(numbers(messages)) == list(range(500))
    for tenant in range(7):
        mine = [number for number in numbers(messages) if number % 7 == tenant]
        assert mine == sorted(mine)
    assert messages[0].headers() == [("ce_id", messages[0].value()), ("empty", None)]
    reader.close()


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_two_members_share_the_partitions_and_the_second_one_hands_its_own_back(
    broker: BrokerProcess, make_topic: MakeTopic, strategy: str
) -> None:
    topic = make_topic(4)
    config = {
        "partition.assignment.strategy": strategy,
        "heartbeat.interval.ms": 200,
        "session.timeout.ms": 6000,
    }
    first, second = (consumer(broker, f"{topic}.group", **config) for _ in range(2))
    first.subscribe([topic])
    poll_until([first], lambda: len(first.assignment()) == 4)
    second.subscribe([topic])
    poll_until([first, second], lambda: len(first.assignment()) == len(second.assignment()) == 2)
    shared = {part.partition for member in (first, second) for part in member.assignment()}
    assert shared == {0, 1, 2, 3}
    second.close()
    poll_until([first], lambda: len(first.assignment()) == 4)
    first.close()


def test_a_synchronous_commit_is_where_the_next_member_begins(
    broker: BrokerProcess, make_topic: MakeTopic, writer: Producer
) -> None:
    topic = make_topic()
    produce(writer, topic, range(30))
    first = consumer(broker, f"{topic}.group")
    first.subscribe([topic])
    consume(first, 10)
    committed = first.commit(offsets=[TopicPartition(topic, 0, 10)], asynchronous=False)
    assert committed is not None
    assert [part.error for part in committed] == [None]
    first.close()
    second = consumer(broker, f"{topic}.group")
    second.subscribe([topic])
    assert numbers(consume(second, 20)) == list(range(10, 30))
    assert second.committed([TopicPartition(topic, 0)], DEADLINE_S)[0].offset == 10
    second.close()


@pytest.mark.parametrize("strategy", ["cooperative-sticky", "range"])
def test_a_member_commits_what_it_has_done_while_another_one_joins(
    broker: BrokerProcess, admin: AdminClient, make_topic: MakeTopic, strategy: str
) -> None:
    """Nothing is given away before it has rejoined, so its work need not be done twice."""
    topic = make_topic(2)
    group = f"{topic}.group"
    config = {"partition.assignment.strategy": strategy, "heartbeat.interval.ms": 200}
    first, second = (consumer(broker, group, **config) for _ in range(2))
    first.subscribe([topic])
    poll_until([first], lambda: len(first.assignment()) == 2)
    second.subscribe([topic])
    poll_until([second], lambda: state_of(admin, group) == ConsumerGroupState.PREPARING_REBALANCING)
    committed = first.commit(offsets=[TopicPartition(topic, 0, 7)], asynchronous=False)
    assert committed is not None
    assert [part.error for part in committed] == [None]
    poll_until([first, second], lambda: len(first.assignment()) == len(second.assignment()) == 1)
    for member in (first, second):
        member.close()


def test_a_static_member_that_restarts_disturbs_nobody(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(4)

    def member(name: str, changes: list[str]) -> Consumer:
        client = consumer(
            broker, f"{topic}.group", **{"group.instance.id": name, "heartbeat.interval.ms": 200}
        )
        client.subscribe(
            [topic],
            on_assign=lambda _client, _parts: changes.append("assigned"),
            on_revoke=lambda _client, _parts: changes.append("revoked"),
        )
        return client

    seen: list[str] = []
    first, second = member("a", seen), member("b", [])
    poll_until([first, second], lambda: len(first.assignment()) == len(second.assignment()) == 2)
    seen.clear()
    before = second.assignment()
    second.close()
    second = member("b", [])
    poll_until([first, second], lambda: len(second.assignment()) == 2)
    assert second.assignment() == before
    assert seen == []
    for client in (first, second):
        client.close()


def test_the_same_static_member_twice_is_fenced(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    config = {"group.instance.id": "a", "heartbeat.interval.ms": 200}
    old, new = (consumer(broker, f"{topic}.group", **config) for _ in range(2))
    old.subscribe([topic])
    poll_until([old], lambda: len(old.assignment()) == 1)
    new.subscribe([topic])
    poll_until([new], lambda: len(new.assignment()) == 1)
    deadline = time.monotonic() + DEADLINE_S
    while (message := old.poll(0.1)) is None or message.error() is None:
        assert time.monotonic() < deadline, "the old incarnation was not told"
    error = message.error()
    assert error is not None
    assert error.code() == KafkaError._FATAL
    new.close()
    old.close()


def state_of(admin: AdminClient, group: str) -> ConsumerGroupState:
    """The group's state as the broker describes it."""
    described = admin.describe_consumer_groups([group])[group].result(DEADLINE_S)
    return ConsumerGroupState(described.state)


def test_a_consumer_without_subscription_seeks_where_it_wants(
    broker: BrokerProcess, make_topic: MakeTopic, writer: Producer
) -> None:
    topic = make_topic()
    produce(writer, topic, range(50))
    reader = consumer(broker, f"{topic}.group")
    reader.assign([TopicPartition(topic, 0, 40)])
    assert numbers(consume(reader, 10)) == list(range(40, 50))
    reader.seek(TopicPartition(topic, 0, 7))
    assert numbers(consume(reader, 3)) == [7, 8, 9]
    assert reader.get_watermark_offsets(TopicPartition(topic, 0), DEADLINE_S) == (0, 50)
    reader.close()


def test_offsets_are_found_by_time(broker: BrokerProcess, make_topic: MakeTopic, writer: Producer) -> None:
    topic = make_topic()
    for value in range(10):
        writer.produce(topic, value=str(value), timestamp=1_700_000_000_000 + value * 1_000)
    writer.flush(DEADLINE_S)
    reader = consumer(broker, f"{topic}.group")
    wanted = [-1, 0, 4_500, 9_000, 9_001]
    found = [
        reader.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_000 + after)], DEADLINE_S)[0].offset
        for after in wanted
    ]
    assert found == [0, 0, 5, 9, -1]
    reader.close()


def test_a_position_beyond_the_end_resets_to_the_earliest(
    broker: BrokerProcess, make_topic: MakeTopic, writer: Producer
) -> None:
    topic = make_topic()
    produce(writer, topic, range(5))
    reader = consumer(broker, f"{topic}.group")
    reader.assign([TopicPartition(topic, 0, 1_000)])
    assert numbers(consume(reader, 5)) == list(range(5))
    reader.close()


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_comes_back_as_it_went_in(
    broker: BrokerProcess, make_topic: MakeTopic, codec: str
) -> None:
    topic = make_topic()
    produce(producer(broker, **{"compression.type": codec, "enable.idempotence": False}), topic, range(200))
    reader = consumer(broker, f"{topic}.group")
    reader.assign([TopicPartition(topic, 0, 0)])
    assert numbers(consume(reader, 200)) == list(range(200))
    reader.close()


def test_an_unknown_topic_is_reported_as_such(broker: BrokerProcess) -> None:
    errors: list[KafkaError | None] = []
    client = producer(broker, **{"topic.metadata.propagation.max.ms": 200})
    client.produce("test.topic.nowhere", b"x", on_delivery=lambda error, _message: errors.append(error))
    client.flush(DEADLINE_S)
    assert errors[0] is not None
    assert errors[0].code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART)


def test_a_message_beyond_the_topics_limit_is_refused(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic(max_message_bytes="2000")
    errors: list[KafkaError | None] = []
    client = producer(broker, **{"compression.type": "none", "enable.idempotence": False})
    client.produce(topic, bytes(4_000), on_delivery=lambda error, _message: errors.append(error))
    client.flush(DEADLINE_S)
    assert errors[0] is not None
    assert errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE


def test_topics_are_created_described_and_deleted(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(3)
    metadata = admin.list_topics(timeout=DEADLINE_S)
    assert len(metadata.topics[topic].partitions) == 3
    described = admin.describe_topics(TopicCollection([topic]))[topic].result(DEADLINE_S)
    assert [part.leader.id for part in described.partitions] == [1, 1, 1]
    admin.delete_topics([topic])[topic].result(DEADLINE_S)
    assert topic not in admin.list_topics(timeout=DEADLINE_S).topics


def test_a_topic_that_exists_is_not_created_again(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    with pytest.raises(KafkaException) as refused:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(
            DEADLINE_S
        )
    assert refused.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS


def test_a_topic_grows(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(2)
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(DEADLINE_S)
    assert len(admin.list_topics(topic, timeout=DEADLINE_S).topics[topic].partitions) == 5


def test_topic_configs_are_described_and_changed(admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(retention_ms="604800000")
    resource = ConfigResource(ResourceType.TOPIC, topic)
    configs = admin.describe_configs([resource])[resource].result(DEADLINE_S)
    assert configs["retention.ms"].value == "604800000"
    change = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[
            ConfigEntry("retention.ms", "86400000", incremental_operation=AlterConfigOpType.SET)
        ],
    )
    admin.incremental_alter_configs([change])[change].result(DEADLINE_S)
    configs = admin.describe_configs([resource])[resource].result(DEADLINE_S)
    assert configs["retention.ms"].value == "86400000"


def test_groups_are_listed_described_and_deleted(
    broker: BrokerProcess, admin: AdminClient, make_topic: MakeTopic, writer: Producer
) -> None:
    topic = make_topic(2)
    group = f"{topic}.group"
    produce(writer, topic, range(20))
    reader = consumer(broker, group, **{"client.id": "reader"})
    reader.subscribe([topic])
    consume(reader, 20)
    reader.commit(offsets=[TopicPartition(topic, 0, 1), TopicPartition(topic, 1, 2)], asynchronous=False)
    listed = {item.group_id: item.state for item in admin.list_consumer_groups().result(DEADLINE_S).valid}
    assert listed[group] == ConsumerGroupState.STABLE
    described = admin.describe_consumer_groups([group])[group].result(DEADLINE_S)
    member = described.members[0]
    assert (described.state, member.client_id) == (ConsumerGroupState.STABLE, "reader")
    assert {part.partition for part in member.assignment.topic_partitions} == {0, 1}
    request = [ConsumerGroupTopicPartitions(group)]
    offsets = admin.list_consumer_group_offsets(request)[group].result(DEADLINE_S)
    assert {part.partition: part.offset for part in offsets.topic_partitions} == {0: 1, 1: 2}
    reader.close()
    admin.delete_consumer_groups([group])[group].result(DEADLINE_S)
    listed = {item.group_id: item.state for item in admin.list_consumer_groups().result(DEADLINE_S).valid}
    assert group not in listed


def test_an_administrator_moves_the_offsets_of_a_group_without_members(
    admin: AdminClient, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    group = f"{topic}.group"
    wanted = [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 42)])]
    admin.alter_consumer_group_offsets(wanted)[group].result(DEADLINE_S)
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(
        DEADLINE_S
    )
    assert [part.offset for part in offsets.topic_partitions] == [42]


def test_an_administrator_lists_offsets_and_deletes_records(
    broker: BrokerProcess, admin: AdminClient, make_topic: MakeTopic, writer: Producer
) -> None:
    topic = make_topic()
    produce(writer, topic, range(10))
    admin.delete_records([TopicPartition(topic, 0, 4)])[TopicPartition(topic, 0)].result(DEADLINE_S)
    part = TopicPartition(topic, 0)
    earliest = admin.list_offsets({part: OffsetSpec.earliest()})[part].result(DEADLINE_S)  # type: ignore[no-untyped-call]  # its own
    latest = admin.list_offsets({part: OffsetSpec.latest()})[part].result(DEADLINE_S)  # type: ignore[no-untyped-call]  # its own
    assert (earliest.offset, latest.offset) == (4, 10)


def test_the_cluster_is_described(admin: AdminClient, broker: BrokerProcess) -> None:
    cluster = admin.describe_cluster().result(DEADLINE_S)
    assert cluster.cluster_id == broker.info.cluster_id
    assert [(node.id, node.port) for node in cluster.nodes] == [(1, broker.port)]
