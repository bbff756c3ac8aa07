"""Produce (0), versions 3-13 (listed from 0, see `protocol.registry`): append record batches.

`acks` 1 and all are the same here: with one copy, an acknowledgement that is worth anything means on disk, so
both wait for the partition's group commit. `acks=0` is appended alike and not answered. Topics are named by
id from version 13. Transactional producers are refused: this broker has no transactions.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.exchange import CloseConnection
from trunkline.broker.log.errors import AppendRefused
from trunkline.broker.log.partition import PartitionLog
from trunkline.broker.pending import Gathering, Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.produce import (
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from trunkline.broker.protocol.notation import Message

TOPICS_BY_ID: Final = 13
NO_ACKS: Final = 0
ACKS: Final = (NO_ACKS, 1, -1)
NO_OFFSET: Final = -1


def _handle(broker: Broker, request: ProduceRequest, call: Call) -> Pending[Message] | None:
    refusal = _refusal(request)
    response = ProduceResponse(responses=[])
    gathering: Gathering[Message] = Gathering(response)
    for topic in request.topic_data:
        response.responses.append(_topic(broker, topic, call.version >= TOPICS_BY_ID, refusal, gathering))
    if request.acks == NO_ACKS:
        _close_on_error(response)
        return None
    gathering.arrived()
    return gathering.promise


def _refusal(request: ProduceRequest) -> tuple[ErrorCode, str] | None:
    if request.acks not in ACKS:
        return ErrorCode.INVALID_REQUIRED_ACKS, f"acks is {request.acks}; 0, 1 and -1 (all) are possible"
    if request.transactional_id is not None:
        return ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "this broker has no transactions"
    return None


def _topic(
    broker: Broker,
    topic: TopicProduceData,
    by_id: bool,
    refusal: tuple[ErrorCode, str] | None,
    gathering: Gathering[Message],
) -> TopicProduceResponse:
    found = broker.topic_by_id(topic.topic_id) if by_id else broker.topic(topic.name)
    if found is None and refusal is None:
        missing = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        refusal = missing, "no such topic"
    results: list[PartitionProduceResponse] = []
    for data in topic.partition_data:
        log = partition_log(found, data.index)
        if refusal is not None:
            results.append(_refused(data.index, *refusal))
        elif log is None:
            results.append(_refused(data.index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "no such partition"))
        else:
            _append(broker, log, data, results, gathering)
    return TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=results)


def _append(
    broker: Broker,
    log: PartitionLog,
    data: PartitionProduceData,
    results: list[PartitionProduceResponse],
    gathering: Gathering[Message],
) -> None:
    """Append and put the outcome into `results`: what it is when the batches are durable."""
    if not data.records:
        results.append(_refused(data.index, ErrorCode.INVALID_RECORD, "the request carries no records"))
        return
    assert isinstance(data.records, memoryview), "records are decoded as a view of their frame"
    try:
        appended = log.append(data.records, now_ms=broker.now_ms())
    except AppendRefused as refused:
        if refused.__cause__ is not None and refused.error is ErrorCode.KAFKA_STORAGE_ERROR:
            broker.refused("records were refused", refused.__cause__)
        results.append(_refused(data.index, refused.error, refused.message))
        return
    broker.took()
    # What `durable` keeps is small: the request's memory is free as soon as its bytes are in the log.
    index, place, nbytes = data.index, len(results), len(data.records)
    results.append(
        PartitionProduceResponse(
            index=index,
            error_code=ErrorCode.NONE,
            base_offset=appended.base_offset,
            log_append_time_ms=appended.log_append_time_ms,
            log_start_offset=log.log_start_offset,
        )
    )
    gathering.expect()

    def durable(error: BaseException | None) -> None:
        if error is not None and log.is_deleted:
            results[place] = _refused(index, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "the topic was deleted")
        elif error is not None:
            told = broker.refused("records could not be synced", error)
            results[place] = _refused(index, ErrorCode.KAFKA_STORAGE_ERROR, told)
        gathering.arrived()
        broker.waiters.arrived(log, nbytes)

    broker.commit.when_durable(log, durable)


def _refused(index: int, error: ErrorCode, message: str) -> PartitionProduceResponse:
    return PartitionProduceResponse(
        index=index, error_code=error, base_offset=NO_OFFSET, error_message=message
    )


def _close_on_error(response: ProduceResponse) -> None:
    """A producer that wants no answers learns of a refusal only by losing its connection, as in Kafka."""
    for topic in response.responses:
        for partition in topic.partition_responses:
            if partition.error_code != ErrorCode.NONE:
                raise CloseConnection(
                    f"records without acknowledgement were refused: {partition.error_message}"
                )


HANDLER = Handler(ProduceRequest, _handle, pipelined=True)
