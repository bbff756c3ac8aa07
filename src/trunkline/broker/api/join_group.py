"""JoinGroup (11), versions 0-9: enter a group's next generation.

The answer waits until the generation is formed. Version 4 sends a new member back once to come with the id it
was given (KIP-394), 5 brings static members (KIP-345), 9 lets a leader skip the assignment (KIP-814).
"""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import Join, JoinResult
from trunkline.broker.groups import Waiting
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import (
    JoinGroupRequest,
    JoinGroupResponse,
    JoinGroupResponseMember,
)
from trunkline.broker.protocol.notation import Message


def _handle(broker: Broker, request: JoinGroupRequest, call: Call) -> Pending[Message]:
    # Version 0 has one time-out for both.
    rebalance_timeout_ms = request.rebalance_timeout_ms if call.version >= 1 else request.session_timeout_ms
    join = Join(
        group_id=request.group_id,
        member_id=request.member_id,
        group_instance_id=request.group_instance_id,
        client_id=call.session.client_id or "",
        client_host=call.session.host,
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=rebalance_timeout_ms,
        protocol_type=request.protocol_type,
        protocols=tuple((protocol.name, protocol.metadata) for protocol in request.protocols),
        requires_known_member_id=call.version >= 4,
        can_skip_assignment=call.version >= 9,
    )
    return broker.groups.ask(
        lambda groups, token, now_ms: groups.join(join, token, now_ms=now_ms),
        lambda result: _response(result, call.version),
        waiting=Waiting(
            request.group_id,
            JoinResult(error=ErrorCode.COORDINATOR_NOT_AVAILABLE, member_id=request.member_id),
        ),
    )


def _response(result: JoinResult, version: int) -> JoinGroupResponse:
    # The protocol's name may be absent only from version 7 on.
    name = result.protocol_name if result.protocol_name is not None or version >= 7 else ""
    return JoinGroupResponse(
        error_code=result.error,
        generation_id=result.generation,
        protocol_type=result.protocol_type,
        protocol_name=name,
        leader=result.leader,
        skip_assignment=result.skip_assignment,
        member_id=result.member_id,
        members=[
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                metadata=member.metadata,
            )
            for member in result.members
        ],
    )


HANDLER = Handler(JoinGroupRequest, _handle)
