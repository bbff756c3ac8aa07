"""DescribeCluster (60), versions 0-2: one broker, which is its own controller."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)

BROKERS = 1


def _handle(broker: Broker, request: DescribeClusterRequest, _call: Call) -> DescribeClusterResponse:
    if request.endpoint_type != BROKERS:
        return DescribeClusterResponse(
            error_code=ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
            error_message="this cluster has no controllers of their own to connect to",
            endpoint_type=request.endpoint_type,
            cluster_id=broker.cluster_id,
            brokers=[],
        )
    return DescribeClusterResponse(
        error_code=ErrorCode.NONE,
        cluster_id=broker.cluster_id,
        controller_id=NODE_ID,
        brokers=[DescribeClusterBroker(broker_id=NODE_ID, host=broker.host, port=broker.port)],
    )


HANDLER = Handler(DescribeClusterRequest, _handle)
