"""OffsetDelete (47), version 0: positions of topics that no member is subscribed to (KIP-496)."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import DeleteOffsets, DeleteResult
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.offsets import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from trunkline.broker.protocol.notation import Message


def _handle(broker: Broker, request: OffsetDeleteRequest, _call: Call) -> Pending[Message]:
    partitions = [
        (topic.name, partition.partition_index) for topic in request.topics for partition in topic.partitions
    ]

    def respond(result: DeleteResult) -> OffsetDeleteResponse:
        errors = dict(zip(partitions, result.errors, strict=True))
        # A group that is not there, or not to be touched, is the whole answer's error.
        whole = {ErrorCode.GROUP_ID_NOT_FOUND, ErrorCode.NON_EMPTY_GROUP} & set(errors.values())
        return OffsetDeleteResponse(
            error_code=whole.pop() if whole else ErrorCode.NONE,
            topics=[
                OffsetDeleteResponseTopic(
                    name=topic.name,
                    partitions=[
                        OffsetDeleteResponsePartition(
                            partition_index=partition.partition_index,
                            error_code=errors[topic.name, partition.partition_index],
                        )
                        for partition in topic.partitions
                    ],
                )
                for topic in request.topics
            ],
        )

    delete = DeleteOffsets(group_id=request.group_id, partitions=partitions)
    return broker.groups.ask(lambda groups, token, _now_ms: groups.delete_offsets(delete, token), respond)


HANDLER = Handler(OffsetDeleteRequest, _handle)
