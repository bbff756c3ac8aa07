"""Heartbeat (12), versions 0-4: a member is alive, and learns whether its group rebalances."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import Heartbeat
from trunkline.broker.protocol.messages.groups import HeartbeatRequest, HeartbeatResponse


def _handle(broker: Broker, request: HeartbeatRequest, _call: Call) -> HeartbeatResponse:
    heartbeat = Heartbeat(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
    )
    error = broker.groups.coordinator.heartbeat(heartbeat, now_ms=broker.groups.now_ms())
    return HeartbeatResponse(error_code=error)


HANDLER = Handler(HeartbeatRequest, _handle)
