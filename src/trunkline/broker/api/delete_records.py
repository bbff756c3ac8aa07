"""DeleteRecords (21), versions 0-2: move the start of logs forward; acknowledged when that is on disk."""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.log.errors import OffsetOutOfRange
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)
from trunkline.broker.protocol.notation import Message
from trunkline.broker.storage import Topic

NO_OFFSET: Final = -1


class _Round:
    """One request's partitions; answered when none of them waits for a sync any more."""

    __slots__ = ("_broker", "_waiting", "answer", "response")

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting = 1
        self.answer: Pending[Message] = Pending()
        self.response = DeleteRecordsResponse(topics=[])

    def settle(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self.answer.resolve(self.response)

    def delete(
        self, topic: Topic | None, wanted: DeleteRecordsPartition, results: list[DeleteRecordsPartitionResult]
    ) -> None:
        log = partition_log(topic, wanted.partition_index)
        if log is None:
            results.append(_refused(wanted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
            return
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
        self._waiting += 1

        def durable(error: BaseException | None) -> None:
            if error is not None:
                results[place] = _refused(wanted, ErrorCode.KAFKA_STORAGE_ERROR)
            self.settle()

        self._broker.commit.when_durable(log, durable)


def _handle(broker: Broker, request: DeleteRecordsRequest, _call: Call) -> Pending[Message]:
    round_ = _Round(broker)
    for wanted in request.topics:
        results: list[DeleteRecordsPartitionResult] = []
        round_.response.topics.append(DeleteRecordsTopicResult(name=wanted.name, partitions=results))
        topic = broker.topic(wanted.name)
        for partition in wanted.partitions:
            round_.delete(topic, partition, results)
    round_.settle()
    return round_.answer


def _refused(wanted: DeleteRecordsPartition, error: ErrorCode) -> DeleteRecordsPartitionResult:
    return DeleteRecordsPartitionResult(
        partition_index=wanted.partition_index, low_watermark=NO_OFFSET, error_code=error
    )


HANDLER = Handler(DeleteRecordsRequest, _handle)
