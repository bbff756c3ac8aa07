"""What several families share: where a partition's leader is (KIP-951), and special numbers."""

from typing import Final

from trunkline.broker.protocol.notation import Struct, int32, string

OPERATIONS_OMITTED: Final = -(1 << 31)
"""Authorized operations that the caller did not ask for (KIP-430)."""


class LeaderIdAndEpoch(Struct):
    leader_id: int = int32(default=-1)
    leader_epoch: int = int32(default=-1)


class NodeEndpoint(Struct):
    node_id: int = int32()
    host: str = string()
    port: int = int32()
    rack: str | None = string(nullable="0+", default=None)
