"""FindCoordinator (10), versions 0-6: this broker coordinates every group.

From version 4 several keys are asked for at once (KIP-699). Transactions (key type 1) and share groups (key
type 2) have no coordinator here.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

GROUP: Final = 0
TRANSACTION: Final = 1


def _handle(broker: Broker, request: FindCoordinatorRequest, call: Call) -> FindCoordinatorResponse:
    if call.version >= 4:
        return FindCoordinatorResponse(
            coordinators=[_coordinator(broker, key, request.key_type) for key in request.coordinator_keys]
        )
    found = _coordinator(broker, request.key, request.key_type)
    return FindCoordinatorResponse(
        error_code=found.error_code,
        error_message=found.error_message,
        node_id=found.node_id,
        host=found.host,
        port=found.port,
    )


def _coordinator(broker: Broker, key: str, key_type: int) -> Coordinator:
    if key_type != GROUP:
        return Coordinator(
            key=key,
            node_id=-1,
            host="",
            port=-1,
            # Fatal to a transactional producer at once; other codes have it look for a coordinator for ever.
            error_code=ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            if key_type == TRANSACTION
            else ErrorCode.INVALID_REQUEST,
            error_message="this broker coordinates consumer groups only; it has no transactions",
        )
    return Coordinator(
        key=key, node_id=NODE_ID, host=broker.host, port=broker.port, error_code=ErrorCode.NONE
    )


HANDLER = Handler(FindCoordinatorRequest, _handle)
