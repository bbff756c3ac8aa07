"""Positions are acknowledged when durable and read back as committed; those of a deleted topic are gone."""

import copy
from collections.abc import Callable

import pytest

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestGroupTopic,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from trunkline.broker.protocol.messages.topics import DeleteTopicsRequest, DeleteTopicsResponse
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread

Connect = Callable[[BrokerThread], ApiDesk]


def commit(
    desk: ApiDesk,
    group: str,
    topic: str,
    offset: int,
    *,
    partition: int = 0,
    generation: int = -1,
    version: int = 8,
) -> int:
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id="",
        topics=[
            OffsetCommitRequestTopic(
                name=topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition, committed_offset=offset, committed_metadata="where"
                    )
                ],
            )
        ],
    )
    return desk.ask(request, version, OffsetCommitResponse).topics[0].partitions[0].error_code


def committed(desk: ApiDesk, group: str, topic: str, *, version: int = 7) -> int:
    request = OffsetFetchRequest(
        group_id=group, topics=[OffsetFetchRequestTopic(name=topic, partition_indexes=[0])]
    )
    answer = desk.ask(request, version, OffsetFetchResponse)
    return answer.topics[0].partitions[0].committed_offset


@pytest.mark.parametrize("version", range(2, 10))
def test_every_version_by_name_commits(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    assert commit(desk, f"commit-{version}", topic, 5, version=version) == ErrorCode.NONE
    assert committed(desk, f"commit-{version}", topic) == 5


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_for_one_group_reads(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    assert committed(desk, "reads", topic, version=version) == -1
    commit(desk, "reads", topic, 3)
    assert committed(desk, "reads", topic, version=version) == 3


@pytest.mark.parametrize("version", [8, 9, 10])
def test_several_groups_and_topics_by_id(desk: ApiDesk, thread: BrokerThread, version: int) -> None:
    topic = desk.topic()
    topic_id = thread.call(lambda: thread.broker.storage.topics[topic].id.bytes)
    commit(desk, f"one-{version}", topic, 1)
    commit(desk, f"two-{version}", topic, 2)
    wanted = [OffsetFetchRequestGroupTopic(name=topic, topic_id=topic_id, partition_indexes=[0])]
    request = OffsetFetchRequest(
        groups=[
            OffsetFetchRequestGroup(group_id=f"one-{version}", topics=wanted),
            OffsetFetchRequestGroup(group_id=f"two-{version}", topics=None),
        ]
    )
    groups = desk.ask(request, version, OffsetFetchResponse).groups
    assert [group.topics[0].partitions[0].committed_offset for group in groups] == [1, 2]
    if version == 10:
        assert {group.topics[0].topic_id for group in groups} == {topic_id}


def test_null_asks_for_everything_a_group_has_committed(desk: ApiDesk) -> None:
    first, second = desk.topic(), desk.topic()
    commit(desk, "all", first, 1)
    commit(desk, "all", second, 2)
    answer = desk.ask(OffsetFetchRequest(group_id="all", topics=None), 5, OffsetFetchResponse)
    assert {topic.name: topic.partitions[0].committed_offset for topic in answer.topics} == {
        first: 1,
        second: 2,
    }


def test_what_does_not_exist_is_refused_and_the_rest_committed(desk: ApiDesk) -> None:
    topic = desk.topic()
    assert commit(desk, "refused", "nobody.knows.it", 1) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(desk, "refused", topic, 1, partition=7) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert commit(desk, "refused", topic, 1, generation=3) != ErrorCode.NONE


def test_a_new_topic_of_the_same_name_has_no_positions(desk: ApiDesk, thread: BrokerThread) -> None:
    topic = desk.topic()
    commit(desk, "again", topic, 5)
    desk.ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=1000), 1, DeleteTopicsResponse)
    thread.call(lambda: thread.broker.create_topic(topic, partitions=1, configs={}))
    assert committed(desk, "again", topic) == -1


def test_positions_can_be_deleted(desk: ApiDesk) -> None:
    kept, dropped = desk.topic(), desk.topic()
    commit(desk, "deletes", kept, 1)
    commit(desk, "deletes", dropped, 2)
    request = OffsetDeleteRequest(
        group_id="deletes",
        topics=[
            OffsetDeleteRequestTopic(
                name=dropped, partitions=[OffsetDeleteRequestPartition(partition_index=0)]
            )
        ],
    )
    assert desk.ask(request, 0, OffsetDeleteResponse).error_code == ErrorCode.NONE
    assert [committed(desk, "deletes", topic) for topic in (kept, dropped)] == [1, -1]


def test_a_commit_survives_the_loss_of_power(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        commit(desk, "kept", topic, 42)
        after_power_loss = copy.deepcopy(fs)
    after_power_loss.crash()
    with BrokerThread(after_power_loss) as broker:
        assert committed(connect(broker), "kept", topic) == 42


def test_a_full_disk_refuses_commits_until_there_is_room_again(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        commit(desk, "full", topic, 1)
        fs.capacity_bytes = fs.used_bytes() + 10
        assert commit(desk, "full", topic, 2) == ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert committed(desk, "full", topic) == 1
        fs.capacity_bytes = float("inf")
        assert commit(desk, "full", topic, 3) == ErrorCode.NONE
        assert committed(desk, "full", topic) == 3
