"""Topics grow, and only grow."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from trunkline.testing.api_desk import ApiDesk


def grow(
    desk: ApiDesk,
    topic: str,
    count: int,
    *,
    version: int = 3,
    brokers: list[int] | None = None,
    validate_only: bool = False,
) -> int:
    assignments = None if brokers is None else [CreatePartitionsAssignment(broker_ids=brokers)]
    request = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name=topic, count=count, assignments=assignments)],
        timeout_ms=1000,
        validate_only=validate_only,
    )
    return desk.ask(request, version, CreatePartitionsResponse).results[0].error_code


@pytest.mark.parametrize("version", range(4))
def test_every_version_adds_partitions_and_keeps_the_records(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    desk.produce(topic, b"kept")
    assert grow(desk, topic, 2, version=version) == ErrorCode.NONE
    assert desk.produce(topic, b"new", partition=1).error_code == ErrorCode.NONE
    assert [record.value for record in desk.fetch(topic)] == [b"kept"]


def test_what_cannot_be_is_refused(desk: ApiDesk) -> None:
    topic = desk.topic(partitions=2)
    assert grow(desk, topic, 2) == ErrorCode.INVALID_PARTITIONS
    assert grow(desk, topic, 1, validate_only=True) == ErrorCode.INVALID_PARTITIONS
    assert grow(desk, topic, 3, brokers=[2]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert grow(desk, "nobody.knows.it", 3) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert grow(desk, "nobody.knows.it", 3, validate_only=True) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_validation_alone_adds_nothing(desk: ApiDesk) -> None:
    topic = desk.topic()
    assert grow(desk, topic, 2, validate_only=True) == ErrorCode.NONE
    assert desk.produce(topic, b"x", partition=1).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
