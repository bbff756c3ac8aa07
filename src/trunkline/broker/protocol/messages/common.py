"""Structures that several families share: where a partition's leader is (KIP-951)."""

from trunkline.broker.protocol.notation import Struct, int32, string


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=-1)
    leader_epoch: int = int32(default=-1)


class NodeEndpoint(Struct):
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)
