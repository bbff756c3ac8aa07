"""A topic is created as asked or refused with the reason, each on its own."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


def wanted(
    name: str,
    *,
    partitions: int = 1,
    replication: int = 1,
    assignments: dict[int, list[int]] | None = None,
    **configs: str,
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replication,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=brokers)
            for index, brokers in (assignments or {}).items()
        ],
        configs=[
            CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()
        ],
    )


def create(
    desk: ApiDesk, *topics: CreatableTopic, version: int = 7, validate_only: bool = False
) -> list[CreatableTopicResult]:
    request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
    return desk.ask(request, version, CreateTopicsResponse).topics


@pytest.mark.parametrize("version", range(2, 8))
def test_every_version_creates(desk: ApiDesk, version: int) -> None:
    (made,) = create(desk, wanted(f"version.{version}", partitions=2), version=version)
    assert made.error_code == ErrorCode.NONE
    assert desk.produce(f"version.{version}", b"x", partition=1).error_code == ErrorCode.NONE


def test_the_answer_shows_what_is_in_force(desk: ApiDesk) -> None:
    (made,) = create(desk, wanted("in.force", retention_ms="60000"))
    assert (made.num_partitions, made.replication_factor) == (1, 1)
    shown = {config.name: config.value for config in made.configs or []}
    assert shown["retention.ms"] == "60000"
    assert shown["max.message.bytes"] == "1048588"


def test_no_number_means_the_brokers_own(desk: ApiDesk) -> None:
    (made,) = create(desk, wanted("by.default", partitions=-1, replication=-1))
    assert made.num_partitions == 3


@pytest.mark.parametrize(
    ("topic", "error"),
    [
        (wanted("not a name"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (wanted(".."), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (wanted("none", partitions=0), ErrorCode.INVALID_PARTITIONS),
        (wanted("many", partitions=1_000_000), ErrorCode.INVALID_PARTITIONS),
        (wanted("copies", replication=3), ErrorCode.INVALID_REPLICATION_FACTOR),
        (wanted("setting", no_such_thing="1"), ErrorCode.INVALID_CONFIG),
        (wanted("value", retention_ms="soon"), ErrorCode.INVALID_CONFIG),
        (wanted("elsewhere", assignments={0: [1], 1: [2]}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (wanted("hole", assignments={0: [1], 2: [1]}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_what_cannot_be_is_refused(desk: ApiDesk, topic: CreatableTopic, error: ErrorCode) -> None:
    refused, made = create(desk, topic, wanted(f"beside.{topic.name.replace(' ', '-')}"))
    assert refused.error_code == error
    assert refused.error_message
    assert made.error_code == ErrorCode.NONE


def test_a_layout_of_this_broker_is_taken(desk: ApiDesk) -> None:
    (made,) = create(desk, wanted("laid.out", partitions=-1, replication=-1, assignments={1: [1], 0: [1]}))
    assert (made.error_code, made.num_partitions) == (ErrorCode.NONE, 2)


def test_a_topic_is_created_once(desk: ApiDesk) -> None:
    assert [topic.error_code for topic in create(desk, wanted("twice"), wanted("twice"))] == [
        ErrorCode.INVALID_REQUEST
    ] * 2
    assert create(desk, wanted("twice"))[0].error_code == ErrorCode.NONE
    assert create(desk, wanted("twice"))[0].error_code == ErrorCode.TOPIC_ALREADY_EXISTS


def test_validation_alone_creates_nothing(desk: ApiDesk, thread: BrokerThread) -> None:
    assert create(desk, wanted("only.checked"), validate_only=True)[0].error_code == ErrorCode.NONE
    assert thread.call(lambda: thread.broker.topic("only.checked")) is None
