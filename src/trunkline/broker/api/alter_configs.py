"""AlterConfigs (33), versions 0-2: replace the whole configuration of a topic."""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.api.resources import Outcome, changeable_topic, configure
from trunkline.broker.broker import Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.protocol.messages.configs import (
    AlterConfigsRequest,
    AlterConfigsResource,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)


def _handle(broker: Broker, request: AlterConfigsRequest, _call: Call) -> AlterConfigsResponse:
    responses = []
    for resource in request.resources:
        outcome = _alter(broker, resource, validate_only=request.validate_only)
        responses.append(
            AlterConfigsResourceResponse(
                error_code=outcome.error,
                error_message=outcome.message,
                resource_type=resource.resource_type,
                resource_name=resource.resource_name,
            )
        )
    return AlterConfigsResponse(responses=responses)


def _alter(broker: Broker, resource: AlterConfigsResource, *, validate_only: bool) -> Outcome:
    try:
        topic = changeable_topic(broker, resource.resource_type, resource.resource_name)
    except TopicRefused as refused:
        return Outcome(refused.error, refused.message)
    configs = {config.name: config.value for config in resource.configs if config.value is not None}
    return configure(broker, topic, configs, validate_only=validate_only)


HANDLER = Handler(AlterConfigsRequest, _handle)
