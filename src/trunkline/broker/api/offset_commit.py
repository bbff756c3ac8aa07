"""OffsetCommit (8), versions 2-10: a group's positions, acknowledged when they are on disk.

Topics are named by id from version 10. The retention time of versions 2 to 4 is not taken: positions live as
long as their group does, and for the broker's retention after that.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.group.model import Commit, CommitOffset, CommitResult
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.offsets import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from trunkline.broker.protocol.notation import Message

TOPICS_BY_ID: Final = 10


def _handle(broker: Broker, request: OffsetCommitRequest, call: Call) -> Pending[Message]:
    offsets: list[CommitOffset] = []
    missing: set[tuple[int, int]] = set()
    unknown = (
        ErrorCode.UNKNOWN_TOPIC_ID if call.version >= TOPICS_BY_ID else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )
    for number, wanted in enumerate(request.topics):
        by_id = call.version >= TOPICS_BY_ID
        topic = broker.topic_by_id(wanted.topic_id) if by_id else broker.topic(wanted.name)
        for place, partition in enumerate(wanted.partitions):
            if topic is None or partition_log(topic, partition.partition_index) is None:
                missing.add((number, place))
                continue
            offsets.append(
                CommitOffset(
                    topic=topic.name,
                    topic_id=topic.id,
                    partition=partition.partition_index,
                    offset=partition.committed_offset,
                    leader_epoch=partition.committed_leader_epoch,
                    metadata=partition.committed_metadata or "",
                )
            )
    commit = Commit(
        group_id=request.group_id,
        generation=request.generation_id_or_member_epoch,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        offsets=offsets,
    )

    def respond(result: CommitResult) -> OffsetCommitResponse:
        errors = iter(result.errors)
        return OffsetCommitResponse(
            topics=[
                OffsetCommitResponseTopic(
                    name=topic.name,
                    topic_id=topic.topic_id,
                    partitions=[
                        OffsetCommitResponsePartition(
                            partition_index=partition.partition_index,
                            error_code=unknown if (number, place) in missing else next(errors),
                        )
                        for place, partition in enumerate(topic.partitions)
                    ],
                )
                for number, topic in enumerate(request.topics)
            ]
        )

    return broker.groups.ask(
        lambda groups, token, now_ms: groups.commit(commit, token, now_ms=now_ms), respond
    )


# Not pipelined: a client that goes on to ask for its positions must find the ones it has just committed.
HANDLER = Handler(OffsetCommitRequest, _handle)
