"""Produce (0) and InitProducerId (22)."""

from trunkline.broker.protocol.messages.common import LeaderIdAndEpoch, NodeEndpoint
from trunkline.broker.protocol.notation import (
    ZERO_UUID,
    Message,
    Struct,
    array,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)
from trunkline.broker.protocol.primitives import Buffer


class PartitionProduceData(Struct):
    index: int = int32()
    records: Buffer | None = records(nullable="0+")


class TopicProduceData(Struct):
    name: str = string(versions="3-12", default="")
    topic_id: bytes = uuid(versions="13+", default=ZERO_UUID)
    partition_data: list[PartitionProduceData] = array(PartitionProduceData)


class ProduceRequest(Message, key=0, versions="3-13", flexible="9+", listed_from=0):
    """Topics go by name up to version 12 and by id from 13 on (KIP-516). Versions 0 to 2 are only listed."""

    transactional_id: str | None = string(nullable="0+", default=None)
    acks: int = int16()
    timeout_ms: int = int32()
    topic_data: list[TopicProduceData] = array(TopicProduceData)


class BatchIndexAndErrorMessage(Struct):
    batch_index: int = int32()
    batch_index_error_message: str | None = string(nullable="0+", default=None)


class PartitionProduceResponse(Struct):
    """`log_append_time_ms` is -1 unless the topic stamps records itself."""

    index: int = int32()
    error_code: int = int16()
    base_offset: int = int64()
    log_append_time_ms: int = int64(default=-1)
    log_start_offset: int = int64(versions="5+", default=-1)
    record_errors: list[BatchIndexAndErrorMessage] = array(
        BatchIndexAndErrorMessage, versions="8+", default_factory=list
    )
    error_message: str | None = string(versions="8+", nullable="0+", default=None)
    current_leader: LeaderIdAndEpoch = struct(
        LeaderIdAndEpoch, versions="10+", tagged=0, default=LeaderIdAndEpoch()
    )


class TopicProduceResponse(Struct):
    name: str = string(versions="3-12", default="")
    topic_id: bytes = uuid(versions="13+", default=ZERO_UUID)
    partition_responses: list[PartitionProduceResponse] = array(PartitionProduceResponse)


class ProduceResponse(Message, key=0, versions="3-13", flexible="9+", listed_from=0):
    responses: list[TopicProduceResponse] = array(TopicProduceResponse)
    throttle_time_ms: int = int32(default=0)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, versions="10+", tagged=0, default_factory=list)


class InitProducerIdRequest(Message, key=22, versions="0-5", flexible="2+"):
    """Version 3 lets a transactional producer recover with the id and epoch it had (KIP-360)."""

    transactional_id: str | None = string(nullable="0+")
    transaction_timeout_ms: int = int32()
    producer_id: int = int64(versions="3+", default=-1)
    producer_epoch: int = int16(versions="3+", default=-1)


class InitProducerIdResponse(Message, key=22, versions="0-5", flexible="2+"):
    throttle_time_ms: int = int32(default=0)
    error_code: int = int16()
    producer_id: int = int64(default=-1)
    producer_epoch: int = int16()
