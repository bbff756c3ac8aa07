"""LeaveGroup (13), versions 0-5: members go at once, not by time-out; several of them from version 3."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import Leave, LeaveResult, LeavingMember
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import LeaveGroupRequest, LeaveGroupResponse, MemberResponse
from trunkline.broker.protocol.notation import Message


def _handle(broker: Broker, request: LeaveGroupRequest, call: Call) -> Pending[Message]:
    several = call.version >= 3
    members = (
        [
            LeavingMember(member_id=member.member_id, group_instance_id=member.group_instance_id)
            for member in request.members
        ]
        if several
        else [LeavingMember(member_id=request.member_id)]
    )
    leave = Leave(group_id=request.group_id, members=members)

    def respond(result: LeaveResult) -> LeaveGroupResponse:
        if not several:
            return LeaveGroupResponse(error_code=result.errors[0])
        return LeaveGroupResponse(
            error_code=ErrorCode.NONE,
            members=[
                MemberResponse(
                    member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error
                )
                for member, error in zip(members, result.errors, strict=True)
            ],
        )

    return broker.groups.ask(lambda groups, token, now_ms: groups.leave(leave, token, now_ms=now_ms), respond)


HANDLER = Handler(LeaveGroupRequest, _handle)
