"""OffsetForLeaderEpoch (23), versions 2-4: where an epoch ended, so that clients see truncation (KIP-320)."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.api.fetch import epoch_error
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import (
    OffsetForLeaderEpochEnd,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)
from trunkline.broker.storage import Topic


def _handle(
    broker: Broker, request: OffsetForLeaderEpochRequest, _call: Call
) -> OffsetForLeaderEpochResponse:
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=wanted.topic,
                partitions=[
                    _partition(broker.topic(wanted.topic), partition) for partition in wanted.partitions
                ],
            )
            for wanted in request.topics
        ]
    )


def _partition(topic: Topic | None, wanted: OffsetForLeaderPartition) -> OffsetForLeaderEpochEnd:
    log = partition_log(topic, wanted.partition)
    error = (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION if log is None else epoch_error(log, wanted.current_leader_epoch)
    )
    if log is None or error is not ErrorCode.NONE:
        return OffsetForLeaderEpochEnd(error_code=error, partition=wanted.partition)
    epoch, end_offset = log.end_offset_for_epoch(wanted.leader_epoch)
    return OffsetForLeaderEpochEnd(
        error_code=ErrorCode.NONE, partition=wanted.partition, leader_epoch=epoch, end_offset=end_offset
    )


HANDLER = Handler(OffsetForLeaderEpochRequest, _handle)
