"""ListOffsets (2), versions 1-11: offsets by time, and the ends of the log.

Everything is local here, so the tiered storage questions of versions 8 to 11 have the answer of a broker
without it.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.api.fetch import epoch_error
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.log.fs import FsError
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.log.times import TimestampOffset
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

LATEST: Final = -1
EARLIEST: Final = -2
MAX_TIMESTAMP: Final = -3
EARLIEST_LOCAL: Final = -4
EARLIEST_PENDING_UPLOAD: Final = -6
NOTHING: Final = -1
"""Offset, timestamp or epoch when there is no such record."""


def _handle(broker: Broker, request: ListOffsetsRequest, _call: Call) -> ListOffsetsResponse:
    topics = []
    for wanted in request.topics:
        topic = broker.topic(wanted.name)
        partitions = [
            _partition(partition_log(topic, partition.partition_index), partition)
            for partition in wanted.partitions
        ]
        topics.append(ListOffsetsTopicResponse(name=wanted.name, partitions=partitions))
    return ListOffsetsResponse(topics=topics)


def _partition(log: PartitionLog | None, wanted: ListOffsetsPartition) -> ListOffsetsPartitionResponse:
    if log is None:
        return _error(wanted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    error = epoch_error(log, wanted.current_leader_epoch)
    if error is not ErrorCode.NONE:
        return _error(wanted, error)
    if wanted.timestamp < EARLIEST_PENDING_UPLOAD:
        return _error(wanted, ErrorCode.INVALID_REQUEST)
    try:
        found = _search(log, wanted.timestamp)
    except FsError:
        return _error(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
    return ListOffsetsPartitionResponse(
        partition_index=wanted.partition_index,
        error_code=ErrorCode.NONE,
        timestamp=found.timestamp_ms,
        offset=found.offset,
        leader_epoch=found.leader_epoch,
    )


def _search(log: PartitionLog, timestamp: int) -> TimestampOffset:
    if timestamp == LATEST:
        return TimestampOffset(NOTHING, log.high_watermark, log.leader_epoch)
    if timestamp in (EARLIEST, EARLIEST_LOCAL):
        return TimestampOffset(NOTHING, log.log_start_offset, log.leader_epoch)
    found = None
    if timestamp == MAX_TIMESTAMP:
        found = log.max_timestamp_offset()
    elif timestamp >= 0:
        found = log.offset_for_time(timestamp)
    return found or TimestampOffset(NOTHING, NOTHING, NOTHING)


def _error(wanted: ListOffsetsPartition, error: ErrorCode) -> ListOffsetsPartitionResponse:
    return ListOffsetsPartitionResponse(partition_index=wanted.partition_index, error_code=error)


HANDLER = Handler(ListOffsetsRequest, _handle)
