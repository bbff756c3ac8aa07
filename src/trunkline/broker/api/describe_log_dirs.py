"""DescribeLogDirs (35), versions 1-5: how much room the partitions take in the one data directory."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker, partition_log
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.cluster import (
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)


def _handle(broker: Broker, request: DescribeLogDirsRequest, _call: Call) -> DescribeLogDirsResponse:
    wanted = (
        {name: list(range(len(topic.partitions))) for name, topic in broker.storage.topics.items()}
        if request.topics is None
        else {topic.topic: topic.partitions for topic in request.topics}
    )
    return DescribeLogDirsResponse(
        results=[
            DescribeLogDirsResult(
                error_code=ErrorCode.NONE,
                log_dir=str(broker.settings.data_dir.absolute()),
                topics=[
                    DescribeLogDirsTopic(name=name, partitions=_sizes(broker, name, indexes))
                    for name, indexes in wanted.items()
                ],
            )
        ]
    )


def _sizes(broker: Broker, name: str, indexes: list[int]) -> list[DescribeLogDirsPartition]:
    topic = broker.topic(name)
    return [
        DescribeLogDirsPartition(
            partition_index=index, partition_size=log.size_bytes, offset_lag=0, is_future_key=False
        )
        for index in indexes
        if (log := partition_log(topic, index)) is not None
    ]


HANDLER = Handler(DescribeLogDirsRequest, _handle)
