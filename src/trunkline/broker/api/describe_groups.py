"""DescribeGroups (15), versions 0-6: members and assignments of groups.

An unknown group is described as Dead; from version 6 that is an error as well (KIP-1043).
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.state import GroupState
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)

UNKNOWN_IS_AN_ERROR: Final = 6


def _handle(broker: Broker, request: DescribeGroupsRequest, call: Call) -> DescribeGroupsResponse:
    return DescribeGroupsResponse(
        groups=[_describe(broker, group_id, call.version) for group_id in request.groups]
    )


def _describe(broker: Broker, group_id: str, version: int) -> DescribedGroup:
    group = broker.groups.coordinator.describe(group_id)
    unknown = group.state is GroupState.DEAD and version >= UNKNOWN_IS_AN_ERROR
    return DescribedGroup(
        error_code=ErrorCode.GROUP_ID_NOT_FOUND if unknown else ErrorCode.NONE,
        error_message=f"there is no group {group_id}" if unknown else None,
        group_id=group_id,
        group_state=group.state,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol_name,
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata,
                member_assignment=member.assignment,
            )
            for member in group.members
        ],
    )


HANDLER = Handler(DescribeGroupsRequest, _handle)
