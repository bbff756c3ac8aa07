"""IncrementalAlterConfigs (44), versions 0-1: set or reset single settings of a topic (KIP-339).

Appending to and subtracting from a list are refused: no setting here is a list of more than one value.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.api.resources import Outcome, changeable_topic, configure
from trunkline.broker.broker import Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResource,
    IncrementalAlterConfigsResourceResponse,
    IncrementalAlterConfigsResponse,
)

SET: Final = 0
DELETE: Final = 1


def _handle(
    broker: Broker, request: IncrementalAlterConfigsRequest, _call: Call
) -> IncrementalAlterConfigsResponse:
    responses = []
    for resource in request.resources:
        outcome = _alter(broker, resource, validate_only=request.validate_only)
        responses.append(
            IncrementalAlterConfigsResourceResponse(
                error_code=outcome.error,
                error_message=outcome.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return IncrementalAlterConfigsResponse(responses=responses)


def _alter(broker: Broker, resource: IncrementalAlterConfigsResource, *, validate_only: bool) -> Outcome:
    try:
        topic = changeable_topic(broker, resource.resource_type, resource.resource_name)
    except TopicRefused as refused:
        return Outcome(refused.error, refused.message)
    configs = dict(topic.configs)
    for change in resource.configs:
        if change.config_operation == DELETE:
            configs.pop(change.name, None)
        elif change.config_operation == SET and change.value is not None:
            configs[change.name] = change.value
        else:
            return Outcome(ErrorCode.INVALID_CONFIG, f"{change.name} can only be set to a value or deleted")
    return configure(broker, topic, configs, validate_only=validate_only)


HANDLER = Handler(IncrementalAlterConfigsRequest, _handle)
