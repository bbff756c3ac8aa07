"""Metadata (3), versions 0-13: the broker and the topics.

The most expensive message to encode and the one clients repeat, so an encoded answer without errors is kept
until anything it says changes. Topics may be asked for by id from version 12.
"""

from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError
from trunkline.broker.protocol.codec import encode_bytes
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from trunkline.broker.protocol.notation import ZERO_UUID, Message
from trunkline.broker.storage import Topic

IDS_FROM_VERSION: Final = 12
"""Versions 10 and 11 carry an id but do not ask by it, and their answers cannot leave out the name."""

KEPT_MAX: Final = 256
"""Encoded answers kept, about 1 MB; clients of one program ask for the same few sets of topics."""

KEPT_BYTES_MAX: Final = 64 * 1024
"""The longest answer that is kept."""


def describe(topic: Topic) -> MetadataResponseTopic:
    """A topic as Metadata shows it."""
    replicas = [NODE_ID]
    return MetadataResponseTopic(
        error_code=ErrorCode.NONE,
        name=topic.name,
        topic_id=topic.id.bytes,
        partitions=[
            MetadataResponsePartition(
                error_code=ErrorCode.NONE,
                partition_index=index,
                leader_id=NODE_ID,
                leader_epoch=log.leader_epoch,
                replica_nodes=replicas,
                isr_nodes=replicas,
            )
            for index, log in enumerate(topic.partitions)
        ],
    )


def _handle(broker: Broker, request: MetadataRequest, call: Call) -> Message | bytes:
    wants_all = request.topics is None or (call.version == 0 and not request.topics)
    # Each topic once, however often it is named, as in Kafka.
    asked = {(topic.topic_id, topic.name): topic for topic in request.topics or ()}
    wanted = None if wants_all else tuple(asked)
    key = (call.version, wanted)
    kept = broker.kept_metadata.get(key)
    if kept is not None:
        return kept
    if wanted is None:
        topics = [describe(topic) for topic in broker.storage.topics.values()]
    else:
        may_create = request.allow_auto_topic_creation and broker.settings.auto_create_topics
        topics = [
            _find(broker, topic, may_create=may_create)
            if topic.name is not None or call.version >= IDS_FROM_VERSION
            else _missing(ErrorCode.INVALID_REQUEST, "", topic.topic_id)
            for topic in asked.values()
        ]
    response = MetadataResponse(
        brokers=[MetadataResponseBroker(node_id=NODE_ID, host=broker.host, port=broker.port)],
        cluster_id=broker.cluster_id,
        controller_id=NODE_ID,
        topics=topics,
    )
    if any(topic.error_code for topic in topics):
        return response
    encoded = encode_bytes(response, call.version)
    if len(encoded) <= KEPT_BYTES_MAX:
        if len(broker.kept_metadata) >= KEPT_MAX:
            broker.kept_metadata.clear()
        broker.kept_metadata[key] = encoded
    return encoded


def _find(broker: Broker, wanted: MetadataRequestTopic, *, may_create: bool) -> MetadataResponseTopic:
    topic = broker.topic_by_id(wanted.topic_id) if wanted.name is None else broker.topic(wanted.name)
    if topic is not None:
        return describe(topic)
    if wanted.name is None:
        return _missing(ErrorCode.UNKNOWN_TOPIC_ID, None, wanted.topic_id)
    if not may_create:
        return _missing(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, wanted.name)
    return _created(broker, wanted.name)


def _created(broker: Broker, name: str) -> MetadataResponseTopic:
    try:
        return describe(broker.create_topic(name, partitions=broker.settings.default_partitions, configs={}))
    except TopicRefused as refused:
        return _missing(refused.error, name)
    except FsError:
        return _missing(ErrorCode.KAFKA_STORAGE_ERROR, name)


def _missing(error: ErrorCode, name: str | None, topic_id: bytes = ZERO_UUID) -> MetadataResponseTopic:
    return MetadataResponseTopic(error_code=error, name=name, topic_id=topic_id, partitions=[])


HANDLER = Handler(MetadataRequest, _handle)
