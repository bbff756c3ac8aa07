"""DescribeTopicPartitions (75), version 0: topics in pages of `response_partition_limit` (KIP-966)."""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.metadata import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)
from trunkline.broker.protocol.notation import ZERO_UUID
from trunkline.broker.storage import Topic

PARTITIONS_MAX: Final = 2000
"""Kafka's `max.request.partition.size.limit`."""


def _handle(
    broker: Broker, request: DescribeTopicPartitionsRequest, _call: Call
) -> DescribeTopicPartitionsResponse:
    names = sorted({topic.name for topic in request.topics} or broker.storage.topics)
    first = 0
    if request.cursor is not None:
        names = [name for name in names if name >= request.cursor.topic_name]
        first = request.cursor.partition_index if names[:1] == [request.cursor.topic_name] else 0
    room = min(max(request.response_partition_limit, 1), PARTITIONS_MAX)
    topics: list[DescribeTopicPartitionsResponseTopic] = []
    for name in names:
        if room == 0:
            return _page(topics, Cursor(topic_name=name, partition_index=0))
        topic = broker.topic(name)
        if topic is None:
            topics.append(_unknown(name))
            continue
        end = min(len(topic.partitions), first + room)
        topics.append(_describe(topic, range(first, end)))
        if end < len(topic.partitions):
            return _page(topics, Cursor(topic_name=name, partition_index=end))
        room -= end - first
        first = 0
    return _page(topics, None)


def _page(
    topics: list[DescribeTopicPartitionsResponseTopic], cursor: Cursor | None
) -> DescribeTopicPartitionsResponse:
    return DescribeTopicPartitionsResponse(topics=topics, next_cursor=cursor)


def _describe(topic: Topic, indexes: range) -> DescribeTopicPartitionsResponseTopic:
    replicas = [NODE_ID]
    return DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.id.bytes,
        partitions=[
            DescribeTopicPartitionsResponsePartition(
                error_code=ErrorCode.NONE,
                partition_index=index,
                leader_id=NODE_ID,
                leader_epoch=topic.partitions[index].leader_epoch,
                replica_nodes=replicas,
                isr_nodes=replicas,
                # Clients of the Java line dereference these two: they are never null.
                eligible_leader_replicas=[],
                last_known_elr=[],
                offline_replicas=[],
            )
            for index in indexes
        ],
    )


def _unknown(name: str) -> DescribeTopicPartitionsResponseTopic:
    return DescribeTopicPartitionsResponseTopic(
        error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, name=name, topic_id=ZERO_UUID, partitions=[]
    )


HANDLER = Handler(DescribeTopicPartitionsRequest, _handle)
