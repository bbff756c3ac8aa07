"""Metadata says what there is now, in every version, however the topics are named."""

import dataclasses
from collections.abc import Callable

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from trunkline.broker.protocol.messages.topics import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import SETTINGS, BrokerThread

Connect = Callable[[BrokerThread], ApiDesk]


def ask(desk: ApiDesk, *names: str, version: int = 9, may_create: bool = False) -> MetadataResponse:
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name) for name in names] if names else None,
        allow_auto_topic_creation=may_create,
    )
    return desk.ask(request, version, MetadataResponse)


@pytest.mark.parametrize("version", range(14))
def test_every_version_says_where_a_topic_is(desk: ApiDesk, thread: BrokerThread, version: int) -> None:
    name = desk.topic(partitions=2)
    answer = ask(desk, name, version=version)
    (broker,) = answer.brokers
    assert f"{broker.host}:{broker.port}" == thread.address
    (topic,) = answer.topics
    assert (topic.error_code, topic.name) == (ErrorCode.NONE, name)
    for partition in topic.partitions:
        assert partition.leader_id == broker.node_id
        assert partition.replica_nodes == partition.isr_nodes == [broker.node_id]


def test_a_topic_is_described_once_however_often_it_is_named(desk: ApiDesk) -> None:
    name, other = desk.topic(), desk.topic()
    assert [topic.name for topic in ask(desk, name, other, name, name).topics] == [name, other]


@pytest.mark.parametrize("version", [1, 4, 9, 12, 13])
def test_null_asks_for_all_topics_and_an_empty_list_for_none(desk: ApiDesk, version: int) -> None:
    name = desk.topic()
    assert name in {topic.name for topic in ask(desk, version=version).topics}
    assert desk.ask(MetadataRequest(topics=[]), version, MetadataResponse).topics == []


def test_version_0_asks_for_all_topics_with_an_empty_list(desk: ApiDesk) -> None:
    name = desk.topic()
    answer = desk.ask(MetadataRequest(topics=[]), 0, MetadataResponse)
    assert name in {topic.name for topic in answer.topics}


def test_a_topic_is_found_by_its_id(desk: ApiDesk, thread: BrokerThread) -> None:
    name = desk.topic()
    topic_id = thread.call(lambda: thread.broker.storage.topics[name].id.bytes)
    for wanted, error in ((topic_id, ErrorCode.NONE), (b"\x01" * 16, ErrorCode.UNKNOWN_TOPIC_ID)):
        request = MetadataRequest(topics=[MetadataRequestTopic(topic_id=wanted, name=None)])
        (topic,) = desk.ask(request, 12, MetadataResponse).topics
        assert (topic.error_code, topic.topic_id) == (error, wanted)


def test_a_kept_answer_is_dropped_when_a_topic_changes(desk: ApiDesk) -> None:
    name = desk.topic()
    assert len(ask(desk, name).topics[0].partitions) == 1
    grow = CreatePartitionsRequest(
        topics=[CreatePartitionsTopic(name=name, count=3, assignments=None)],
        timeout_ms=1000,
        validate_only=False,
    )
    assert desk.ask(grow, 0, CreatePartitionsResponse).results[0].error_code == ErrorCode.NONE
    assert len(ask(desk, name).topics[0].partitions) == 3
    desk.ask(DeleteTopicsRequest(topic_names=[name], timeout_ms=1000), 1, DeleteTopicsResponse)
    assert ask(desk, name).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_topics_are_not_created_by_asking(desk: ApiDesk) -> None:
    (topic,) = ask(desk, "never.made.it", may_create=True).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_topics_are_created_by_asking_where_that_was_chosen(connect: Connect) -> None:
    settings = dataclasses.replace(SETTINGS, auto_create_topics=True, default_partitions=4)
    with BrokerThread(settings=settings) as broker:
        desk = connect(broker)
        (refused,) = ask(desk, "made.by.asking").topics
        (made,) = ask(desk, "made.by.asking", may_create=True).topics
        (bad,) = ask(desk, "not a name", may_create=True).topics
    assert refused.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (made.error_code, len(made.partitions)) == (ErrorCode.NONE, 4)
    assert bad.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
