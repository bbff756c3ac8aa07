"""DeleteTopics (20), versions 1-6: topics, their records and what groups have committed for them.

By id from version 6. The files go later, on a thread; the topic is gone when this is answered.
"""

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from trunkline.broker.protocol.notation import ZERO_UUID


def _handle(broker: Broker, request: DeleteTopicsRequest, _call: Call) -> DeleteTopicsResponse:
    named = [DeleteTopicState(name=name, topic_id=ZERO_UUID) for name in request.topic_names]
    return DeleteTopicsResponse(responses=[_delete(broker, topic) for topic in (*request.topics, *named)])


def _delete(broker: Broker, wanted: DeleteTopicState) -> DeletableTopicResult:
    name, topic_id = wanted.name, wanted.topic_id
    if (name is None) == (topic_id == ZERO_UUID):
        return _refused(wanted, ErrorCode.INVALID_REQUEST, "name a topic either by name or by id")
    if name is None:
        known = broker.topic_by_id(topic_id)
        if known is None:
            return _refused(wanted, ErrorCode.UNKNOWN_TOPIC_ID, "there is no topic with this id")
        name = known.name
    try:
        topic = broker.delete_topic(name)
    except TopicRefused as refused:
        return _refused(wanted, refused.error, refused.message)
    except FsError as error:
        told = broker.refused(f"topic {name} was not deleted", error)
        return _refused(wanted, ErrorCode.KAFKA_STORAGE_ERROR, told)
    return DeletableTopicResult(name=name, topic_id=topic.id.bytes, error_code=ErrorCode.NONE)


def _refused(wanted: DeleteTopicState, error: ErrorCode, message: str) -> DeletableTopicResult:
    return DeletableTopicResult(
        name=wanted.name, topic_id=wanted.topic_id, error_code=error, error_message=message
    )


HANDLER = Handler(DeleteTopicsRequest, _handle)
