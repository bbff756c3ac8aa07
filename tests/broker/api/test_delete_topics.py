"""A deleted topic is gone at once, with its records, its positions and its id."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from trunkline.broker.protocol.notation import ZERO_UUID
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


def delete(desk: ApiDesk, name: str | None = None, topic_id: bytes = ZERO_UUID) -> DeletableTopicResult:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name, topic_id=topic_id)], timeout_ms=1000)
    return desk.ask(request, 6, DeleteTopicsResponse).responses[0]


@pytest.mark.parametrize("version", range(1, 6))
def test_every_version_by_name_deletes(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    request = DeleteTopicsRequest(topic_names=[topic], timeout_ms=1000)
    assert desk.ask(request, version, DeleteTopicsResponse).responses[0].error_code == ErrorCode.NONE
    assert desk.produce(topic, b"x").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_version_6_deletes_by_id(desk: ApiDesk, thread: BrokerThread) -> None:
    topic = desk.topic()
    topic_id = thread.call(lambda: thread.broker.storage.topics[topic].id.bytes)
    deleted = delete(desk, topic_id=topic_id)
    assert (deleted.error_code, deleted.name) == (ErrorCode.NONE, topic)
    assert delete(desk, topic_id=topic_id).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_what_does_not_exist_is_refused(desk: ApiDesk) -> None:
    assert delete(desk, "nobody.knows.it").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_topic_is_named_in_one_way(desk: ApiDesk) -> None:
    assert delete(desk, "both", b"\x01" * 16).error_code == ErrorCode.INVALID_REQUEST
    assert delete(desk).error_code == ErrorCode.INVALID_REQUEST


def test_a_topic_created_again_is_empty_and_another_one(desk: ApiDesk, thread: BrokerThread) -> None:
    topic = desk.topic()
    desk.produce(topic, b"old")
    before = delete(desk, topic).topic_id
    after = thread.call(lambda: thread.broker.create_topic(topic, partitions=1, configs={}).id.bytes)
    assert after != before
    assert desk.fetch(topic) == []
