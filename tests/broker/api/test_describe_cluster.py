"""One broker, which controls itself."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.cluster import (
    DescribableLogDirTopic,
    DescribeClusterRequest,
    DescribeClusterResponse,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread


@pytest.mark.parametrize("version", range(3))
def test_every_version_names_the_broker(desk: ApiDesk, thread: BrokerThread, version: int) -> None:
    request = DescribeClusterRequest(include_cluster_authorized_operations=False)
    answer = desk.ask(request, version, DescribeClusterResponse)
    (broker,) = answer.brokers
    assert f"{broker.host}:{broker.port}" == thread.address
    assert answer.controller_id == broker.broker_id
    assert answer.cluster_id == thread.broker.cluster_id


def test_there_are_no_controllers_to_connect_to(desk: ApiDesk) -> None:
    request = DescribeClusterRequest(include_cluster_authorized_operations=False, endpoint_type=2)
    answer = desk.ask(request, 1, DescribeClusterResponse)
    assert answer.error_code == ErrorCode.UNSUPPORTED_ENDPOINT_TYPE


@pytest.mark.parametrize("version", range(1, 6))
def test_every_version_says_how_much_room_partitions_take(desk: ApiDesk, version: int) -> None:
    topic = desk.topic(partitions=2)
    desk.produce(topic, bytes(500))
    for wanted in (None, [DescribableLogDirTopic(topic=topic, partitions=[0, 1, 9])]):
        (directory,) = desk.ask(
            DescribeLogDirsRequest(topics=wanted), version, DescribeLogDirsResponse
        ).results
        (found,) = (entry for entry in directory.topics if entry.name == topic)
        sizes = {partition.partition_index: partition.partition_size for partition in found.partitions}
        assert sizes.keys() == {0, 1}
        assert sizes[0] > 500
        assert sizes[1] == 0
