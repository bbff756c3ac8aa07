"""Every API the broker can speak, derived from the message declarations."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from trunkline.broker.protocol.messages import (
    cluster,
    configs,
    fetch,
    groups,
    metadata,
    offsets,
    produce,
    topics,
    versions,
)
from trunkline.broker.protocol.notation import Message, Versions


class ApiDeclaration(msgspec.Struct, frozen=True):
    """One API: its messages and the versions they exist in.

    `listed_first` is what ApiVersions must name as the minimum. It is `first_version` but for Produce:
    librdkafka up to 2.8 turns compression off silently unless version 0 is listed (KAFKA-18659), so it is
    listed and refused.
    """

    key: int
    name: str
    request: type[Message]
    response: type[Message]
    first_version: int
    last_version: int
    flexible: Versions
    listed_first: int

    def serves(self, version: int) -> bool:
        """Whether requests of this version can be decoded."""
        return self.first_version <= version <= self.last_version


def _declare(request: type[Message], response: type[Message]) -> ApiDeclaration:
    api = request.api
    assert api == response.api, f"{request.__name__} and {response.__name__} disagree"
    served = Versions.parse(api.versions)
    return ApiDeclaration(
        key=api.key,
        name=request.__name__.removesuffix("Request"),
        request=request,
        response=response,
        first_version=served.first,
        last_version=served.last,
        flexible=Versions.parse(api.flexible),
        listed_first=served.first if api.listed_from is None else api.listed_from,
    )


_PAIRS: Final = (
    (produce.ProduceRequest, produce.ProduceResponse),
    (fetch.FetchRequest, fetch.FetchResponse),
    (fetch.ListOffsetsRequest, fetch.ListOffsetsResponse),
    (metadata.MetadataRequest, metadata.MetadataResponse),
    (offsets.OffsetCommitRequest, offsets.OffsetCommitResponse),
    (offsets.OffsetFetchRequest, offsets.OffsetFetchResponse),
    (groups.FindCoordinatorRequest, groups.FindCoordinatorResponse),
    (groups.JoinGroupRequest, groups.JoinGroupResponse),
    (groups.HeartbeatRequest, groups.HeartbeatResponse),
    (groups.LeaveGroupRequest, groups.LeaveGroupResponse),
    (groups.SyncGroupRequest, groups.SyncGroupResponse),
    (groups.DescribeGroupsRequest, groups.DescribeGroupsResponse),
    (groups.ListGroupsRequest, groups.ListGroupsResponse),
    (versions.ApiVersionsRequest, versions.ApiVersionsResponse),
    (topics.CreateTopicsRequest, topics.CreateTopicsResponse),
    (topics.DeleteTopicsRequest, topics.DeleteTopicsResponse),
    (topics.DeleteRecordsRequest, topics.DeleteRecordsResponse),
    (produce.InitProducerIdRequest, produce.InitProducerIdResponse),
    (fetch.OffsetForLeaderEpochRequest, fetch.OffsetForLeaderEpochResponse),
    (configs.DescribeConfigsRequest, configs.DescribeConfigsResponse),
    (configs.AlterConfigsRequest, configs.AlterConfigsResponse),
    (cluster.DescribeLogDirsRequest, cluster.DescribeLogDirsResponse),
    (topics.CreatePartitionsRequest, topics.CreatePartitionsResponse),
    (groups.DeleteGroupsRequest, groups.DeleteGroupsResponse),
    (configs.IncrementalAlterConfigsRequest, configs.IncrementalAlterConfigsResponse),
    (offsets.OffsetDeleteRequest, offsets.OffsetDeleteResponse),
    (cluster.DescribeClusterRequest, cluster.DescribeClusterResponse),
    (metadata.DescribeTopicPartitionsRequest, metadata.DescribeTopicPartitionsResponse),
)

API: Final[Mapping[int, ApiDeclaration]] = MappingProxyType(
    {pair[0].api.key: _declare(*pair) for pair in _PAIRS}
)
"""The declarations by API key. What of it a broker advertises is decided by the handlers it has."""
