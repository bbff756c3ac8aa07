"""SyncGroup (14), versions 0-5: the leader hands in the assignment, every member gets its part of it."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import Sync, SyncResult
from trunkline.broker.groups import Waiting
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import SyncGroupRequest, SyncGroupResponse
from trunkline.broker.protocol.notation import Message


def _handle(broker: Broker, request: SyncGroupRequest, _call: Call) -> Pending[Message]:
    sync = Sync(
        group_id=request.group_id,
        generation=request.generation_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignments={entry.member_id: entry.assignment for entry in request.assignments},
    )
    return broker.groups.ask(
        lambda groups, token, now_ms: groups.sync(sync, token, now_ms=now_ms),
        _response,
        waiting=Waiting(request.group_id, SyncResult(error=ErrorCode.COORDINATOR_NOT_AVAILABLE)),
    )


def _response(result: SyncResult) -> SyncGroupResponse:
    return SyncGroupResponse(
        error_code=result.error,
        protocol_type=result.protocol_type,
        protocol_name=result.protocol_name,
        assignment=result.assignment,
    )


HANDLER = Handler(SyncGroupRequest, _handle)
