"""OffsetFetch (9), versions 1-10: what groups have committed, durably.

Several groups from version 8 (KIP-709), topics by id from version 10. An offset committed for an earlier
topic of the same name is not this topic's: it reads as not committed. `require_stable` is always met here,
for want of transactions.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.offsets import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponseGroupPartition,
    OffsetFetchResponseGroupTopic,
    OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
)

SEVERAL_GROUPS: Final = 8
TOPICS_BY_ID: Final = 10


class _Position(NamedTuple):
    """A partition's answer, for either shape of response."""

    partition_index: int
    committed_offset: int = -1
    committed_leader_epoch: int = -1
    metadata: str = ""
    error_code: ErrorCode = ErrorCode.NONE


def _handle(broker: Broker, request: OffsetFetchRequest, call: Call) -> OffsetFetchResponse:
    if call.version >= SEVERAL_GROUPS:
        by_id = call.version >= TOPICS_BY_ID
        return OffsetFetchResponse(groups=[_group(broker, group, by_id=by_id) for group in request.groups])
    wanted = (
        _everything(broker, request.group_id)
        if request.topics is None
        else {topic.name: topic.partition_indexes for topic in request.topics}
    )
    return OffsetFetchResponse(
        topics=[
            OffsetFetchResponseTopic(
                name=name,
                partitions=[
                    OffsetFetchResponsePartition(**position._asdict())
                    for position in _positions(broker, request.group_id, name, indexes)
                ],
            )
            for name, indexes in wanted.items()
        ]
    )


def _group(broker: Broker, group: OffsetFetchRequestGroup, *, by_id: bool) -> OffsetFetchResponseGroup:
    wanted: list[tuple[str | None, bytes, list[int]]]
    if group.topics is None:
        wanted = [
            (name, _topic_id(broker, name), indexes)
            for name, indexes in _everything(broker, group.group_id).items()
        ]
    elif by_id:
        wanted = [
            (_topic_name(broker, topic.topic_id), topic.topic_id, topic.partition_indexes)
            for topic in group.topics
        ]
    else:
        wanted = [(topic.name, topic.topic_id, topic.partition_indexes) for topic in group.topics]
    return OffsetFetchResponseGroup(
        group_id=group.group_id,
        topics=[
            OffsetFetchResponseGroupTopic(
                name=name or "",
                topic_id=topic_id,
                partitions=[
                    OffsetFetchResponseGroupPartition(**position._asdict())
                    for position in _positions(broker, group.group_id, name, indexes)
                ],
            )
            for name, topic_id, indexes in wanted
        ],
    )


def _everything(broker: Broker, group_id: str) -> dict[str, list[int]]:
    """The partitions with a position of a topic that still exists."""
    wanted: dict[str, list[int]] = {}
    for (name, partition), offset in broker.groups.coordinator.offsets(group_id).items():
        topic = broker.topic(name)
        if topic is not None and topic.id == offset.topic_id:
            wanted.setdefault(name, []).append(partition)
    return wanted


def _positions(
    broker: Broker, group_id: str, name: str | None, indexes: Iterable[int]
) -> Iterable[_Position]:
    """The positions of one topic; None is a topic that the id asked for does not name."""
    if name is None:
        return [_Position(index, error_code=ErrorCode.UNKNOWN_TOPIC_ID) for index in indexes]
    topic = broker.topic(name)
    offsets = broker.groups.coordinator.offsets(group_id)
    positions = []
    for index in indexes:
        offset = offsets.get((name, index))
        if offset is None or topic is None or topic.id != offset.topic_id:
            positions.append(_Position(index))
        else:
            positions.append(_Position(index, offset.offset, offset.leader_epoch, offset.metadata))
    return positions


def _topic_id(broker: Broker, name: str) -> bytes:
    topic = broker.topic(name)
    return (UUID(int=0) if topic is None else topic.id).bytes


def _topic_name(broker: Broker, topic_id: bytes) -> str | None:
    topic = broker.topic_by_id(topic_id)
    return None if topic is None else topic.name


HANDLER = Handler(OffsetFetchRequest, _handle)
