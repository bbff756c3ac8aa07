"""Fetch (1), ListOffsets (2) and OffsetForLeaderEpoch (23). Topics go by id from Fetch 13 on (KIP-516)."""

from trunkline.broker.protocol.messages.common import LeaderIdAndEpoch, NodeEndpoint
from trunkline.broker.protocol.notation import (
    ZERO_UUID,
    Message,
    Struct,
    array,
    int8,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uuid,
)
from trunkline.broker.protocol.primitives import Buffer


class ReplicaState(Struct):
    replica_id: int = int32(default=-1)
    replica_epoch: int = int64(default=-1)


class FetchPartition(Struct):
    partition: int = int32()
    current_leader_epoch: int = int32(versions="9+", default=-1)
    fetch_offset: int = int64()
    last_fetched_epoch: int = int32(versions="12+", default=-1)
    log_start_offset: int = int64(versions="5+", default=-1)
    partition_max_bytes: int = int32()
    replica_directory_id: bytes = uuid(versions="17+", tagged=0, default=ZERO_UUID)
    high_watermark: int = int64(versions="18+", tagged=1, default=(1 << 63) - 1)


class FetchTopic(Struct):
    topic: str = string(versions="4-12", default="")
    topic_id: bytes = uuid(versions="13+", default=ZERO_UUID)
    partitions: list[FetchPartition] = array(FetchPartition)


class ForgottenTopic(Struct):
    topic: str = string(versions="7-12", default="")
    topic_id: bytes = uuid(versions="13+", default=ZERO_UUID)
    partitions: list[int] = array(int32)


class FetchRequest(Message, key=1, versions="4-18", flexible="12+"):
    """`session_id` and `session_epoch` belong to incremental fetch sessions (KIP-227), `cluster_id`,
    `replica_id` and `replica_state` to replicas.
    """

    cluster_id: str | None = string(versions="12+", nullable="0+", tagged=0, default=None)
    replica_id: int = int32(versions="4-14", default=-1)
    replica_state: ReplicaState = struct(ReplicaState, versions="15+", tagged=1, default=ReplicaState())
    max_wait_ms: int = int32()
    min_bytes: int = int32()
    max_bytes: int = int32(default=(1 << 31) - 1)
    isolation_level: int = int8(default=0)
    session_id: int = int32(versions="7+", default=0)
    session_epoch: int = int32(versions="7+", default=-1)
    topics: list[FetchTopic] = array(FetchTopic)
    forgotten_topics_data: list[ForgottenTopic] = array(ForgottenTopic, versions="7+", default_factory=list)
    rack_id: str = string(versions="11+", default="")


class EpochEndOffset(Struct):
    epoch: int = int32(default=-1)
    end_offset: int = int64(default=-1)


class SnapshotId(Struct):
    end_offset: int = int64(default=-1)
    epoch: int = int32(default=-1)


class AbortedTransaction(Struct):
    producer_id: int = int64()
    first_offset: int = int64()


class FetchPartitionData(Struct):
    partition_index: int = int32()
    error_code: int = int16()
    high_watermark: int = int64()
    last_stable_offset: int = int64(default=-1)
    log_start_offset: int = int64(versions="5+", default=-1)
    diverging_epoch: EpochEndOffset = struct(
        EpochEndOffset, versions="12+", tagged=0, default=EpochEndOffset()
    )
    current_leader: LeaderIdAndEpoch = struct(
        LeaderIdAndEpoch, versions="12+", tagged=1, default=LeaderIdAndEpoch()
    )
    snapshot_id: SnapshotId = struct(SnapshotId, versions="12+", tagged=2, default=SnapshotId())
    aborted_transactions: list[AbortedTransaction] | None = array(
        AbortedTransaction, nullable="0+", default=None
    )
    preferred_read_replica: int = int32(versions="11+", default=-1)
    records: Buffer | None = records(nullable="0+")


class FetchableTopicResponse(Struct):
    topic: str = string(versions="4-12", default="")
    topic_id: bytes = uuid(versions="13+", default=ZERO_UUID)
    partitions: list[FetchPartitionData] = array(FetchPartitionData)


class FetchResponse(Message, key=1, versions="4-18", flexible="12+"):
    """A `session_id` of 0 declines a fetch session: the client then names every partition every time."""

    throttle_time_ms: int = int32(default=0)
    error_code: int = int16(versions="7+", default=0)
    session_id: int = int32(versions="7+", default=0)
    responses: list[FetchableTopicResponse] = array(FetchableTopicResponse)
    node_endpoints: list[NodeEndpoint] = array(NodeEndpoint, versions="16+", tagged=0, default_factory=list)


class ListOffsetsPartition(Struct):
    """`timestamp` is Unix milliseconds; -1 is the latest offset, -2 the earliest, -3 the newest in time."""

    partition_index: int = int32()
    current_leader_epoch: int = int32(versions="4+", default=-1)
    timestamp: int = int64()


class ListOffsetsTopic(Struct):
    name: str = string()
    partitions: list[ListOffsetsPartition] = array(ListOffsetsPartition)


class ListOffsetsRequest(Message, key=2, versions="1-11", flexible="6+"):
    replica_id: int = int32()
    isolation_level: int = int8(versions="2+", default=0)
    topics: list[ListOffsetsTopic] = array(ListOffsetsTopic)
    timeout_ms: int = int32(versions="10+", default=0)


class ListOffsetsPartitionResponse(Struct):
    partition_index: int = int32()
    error_code: int = int16()
    timestamp: int = int64(default=-1)
    offset: int = int64(default=-1)
    leader_epoch: int = int32(versions="4+", default=-1)


class ListOffsetsTopicResponse(Struct):
    name: str = string()
    partitions: list[ListOffsetsPartitionResponse] = array(ListOffsetsPartitionResponse)


class ListOffsetsResponse(Message, key=2, versions="1-11", flexible="6+"):
    throttle_time_ms: int = int32(versions="2+", default=0)
    topics: list[ListOffsetsTopicResponse] = array(ListOffsetsTopicResponse)


class OffsetForLeaderPartition(Struct):
    partition: int = int32()
    current_leader_epoch: int = int32(default=-1)
    leader_epoch: int = int32()


class OffsetForLeaderTopic(Struct):
    topic: str = string()
    partitions: list[OffsetForLeaderPartition] = array(OffsetForLeaderPartition)


class OffsetForLeaderEpochRequest(Message, key=23, versions="2-4", flexible="4+"):
    replica_id: int = int32(versions="3+", default=-2)
    topics: list[OffsetForLeaderTopic] = array(OffsetForLeaderTopic)


class OffsetForLeaderEpochEnd(Struct):
    error_code: int = int16()
    partition: int = int32()
    leader_epoch: int = int32(default=-1)
    end_offset: int = int64(default=-1)


class OffsetForLeaderTopicResult(Struct):
    topic: str = string()
    partitions: list[OffsetForLeaderEpochEnd] = array(OffsetForLeaderEpochEnd)


class OffsetForLeaderEpochResponse(Message, key=23, versions="2-4", flexible="4+"):
    throttle_time_ms: int = int32(default=0)
    topics: list[OffsetForLeaderTopicResult] = array(OffsetForLeaderTopicResult)
