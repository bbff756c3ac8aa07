"""ListGroups (16), versions 0-5: all groups, filtered by state from version 4 and by type from version 5."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.groups import ListedGroup, ListGroupsRequest, ListGroupsResponse


def _handle(broker: Broker, request: ListGroupsRequest, _call: Call) -> ListGroupsResponse:
    groups = broker.groups.coordinator.list_groups(states=request.states_filter, types=request.types_filter)
    return ListGroupsResponse(
        error_code=ErrorCode.NONE,
        groups=[
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state,
                group_type=group.group_type,
            )
            for group in groups
        ],
    )


HANDLER = Handler(ListGroupsRequest, _handle)
