"""DeleteGroups (42), versions 0-2: groups without members, and what they have committed."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.group.model import DeleteResult
from trunkline.broker.pending import Pending
from trunkline.broker.protocol.messages.groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)
from trunkline.broker.protocol.notation import Message


def _handle(broker: Broker, request: DeleteGroupsRequest, _call: Call) -> Pending[Message]:
    def respond(result: DeleteResult) -> DeleteGroupsResponse:
        return DeleteGroupsResponse(
            results=[
                DeletableGroupResult(group_id=group_id, error_code=error)
                for group_id, error in zip(request.groups_names, result.errors, strict=True)
            ]
        )

    return broker.groups.ask(
        lambda groups, token, _now_ms: groups.delete_groups(request.groups_names, token), respond
    )


HANDLER = Handler(DeleteGroupsRequest, _handle)
