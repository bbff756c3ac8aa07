"""DeleteRecords (21), versions 0-2: move the start of logs forward; acknowledged when that is on disk."""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.log.errors import OffsetOutOfRange
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.pending import Gathering, Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from trunkline.broker.protocol.notation import Message

NO_OFFSET: Final = -1


def _handle(broker: Broker, request: DeleteRecordsRequest, _call: Call) -> Pending[Message]:
    response = DeleteRecordsResponse(topics=[])
    gathering: Gathering[Message] = Gathering(response)
    for wanted in request.topics:
        results: list[DeleteRecordsPartitionResult] = []
        response.topics.append(DeleteRecordsTopicResult(name=wanted.name, partitions=results))
        topic = broker.topic(wanted.name)
        for partition in wanted.partitions:
            log = partition_log(topic, partition.partition_index)
            if log is None:
                results.append(_refused(partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            else:
                _delete(broker, log, partition, results, gathering)
    gathering.arrived()
    return gathering.promise


def _delete(
    broker: Broker,
    log: PartitionLog,
    wanted: DeleteRecordsPartition,
    results: list[DeleteRecordsPartitionResult],
    gathering: Gathering[Message],
) -> None:
    """Delete and put the outcome into `results`: what it is when the new start is durable."""
    try:
        start = log.delete_before(wanted.offset)
    except OffsetOutOfRange:
        results.append(_refused(wanted, ErrorCode.OFFSET_OUT_OF_RANGE))
        return
    place = len(results)
    results.append(
        DeleteRecordsPartitionResult(
            partition_index=wanted.partition_index, low_watermark=start, error_code=ErrorCode.NONE
        )
    )
    gathering.expect()

    def durable(error: BaseException | None) -> None:
        lagging = broker.settings.durability == "fsync" and log.durable_start_offset < start
        if error is not None or lagging:
            results[place] = _refused(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
        gathering.arrived()

    broker.commit.when_durable(log, durable)


def _refused(wanted: DeleteRecordsPartition, error: ErrorCode) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(
        partition_index=wanted.partition_index, low_watermark=NO_OFFSET, error_code=error
    )


HANDLER = Handler(DeleteRecordsRequest, _handle)
