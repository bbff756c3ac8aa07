"""CreatePartitions (37), versions 0-3: more partitions for a topic.

It moves keys to other partitions, so a tenant's order breaks; `trunkline topics grow` does it safely.
"""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)


def _handle(broker: Broker, request: CreatePartitionsRequest, _call: Call) -> CreatePartitionsResponse:
    return CreatePartitionsResponse(
        results=[_grow(broker, topic, validate_only=request.validate_only) for topic in request.topics]
    )


def _grow(
    broker: Broker, wanted: CreatePartitionsTopic, *, validate_only: bool
) -> CreatePartitionsTopicResult:
    if any(assignment.broker_ids != [NODE_ID] for assignment in wanted.assignments or ()):
        return CreatePartitionsTopicResult(
            name=wanted.name,
            error_code=ErrorCode.INVALID_REPLICA_ASSIGNMENT,
            error_message=f"every replica of this cluster is on broker {NODE_ID}",
        )
    try:
        if validate_only:
            broker.storage.check_growth(wanted.name, wanted.count)
        else:
            broker.grow_topic(wanted.name, wanted.count)
    except TopicRefused as refused:
        return CreatePartitionsTopicResult(
            name=wanted.name, error_code=refused.error, error_message=refused.message
        )
    except FsError as error:
        return CreatePartitionsTopicResult(
            name=wanted.name,
            error_code=ErrorCode.KAFKA_STORAGE_ERROR,
            error_message=broker.refused(f"topic {wanted.name} was not grown", error),
        )
    return CreatePartitionsTopicResult(name=wanted.name, error_code=ErrorCode.NONE)


HANDLER = Handler(CreatePartitionsRequest, _handle)
