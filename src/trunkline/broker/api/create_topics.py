"""CreateTopics (19), versions 2-7: topics on the one broker there is.

From version 4 a count of -1 means the broker's default (KIP-464), from 5 the answer shows the configuration
in force (KIP-525).
"""

from collections import Counter
from typing import Final

from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError
from trunkline.broker.log.topic_config import described
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from trunkline.broker.protocol.notation import ZERO_UUID

DEFAULT: Final = -1
REPLICATION_FACTOR: Final = 1
DYNAMIC_TOPIC_CONFIG: Final = 1
DEFAULT_CONFIG: Final = 5


def _handle(broker: Broker, request: CreateTopicsRequest, _call: Call) -> CreateTopicsResponse:
    named = Counter(topic.name for topic in request.topics)
    return CreateTopicsResponse(
        topics=[
            _create(broker, topic, repeated=named[topic.name] > 1, validate_only=request.validate_only)
            for topic in request.topics
        ]
    )


def _create(
    broker: Broker, wanted: CreatableTopic, *, repeated: bool, validate_only: bool
) -> CreatableTopicResult:
    if repeated:
        return _refused(wanted, ErrorCode.INVALID_REQUEST, f"topic {wanted.name} is named more than once")
    try:
        partitions = _partitions(wanted, broker.settings.default_partitions)
        configs = {config.name: config.value for config in wanted.configs if config.value is not None}
        if validate_only:
            broker.storage.check_new_topic(wanted.name, partitions=partitions, configs=configs)
            topic_id = ZERO_UUID
        else:
            topic_id = broker.create_topic(wanted.name, partitions=partitions, configs=configs).id.bytes
    except TopicRefused as refused:
        return _refused(wanted, refused.error, refused.message)
    except FsError as error:
        told = broker.refused(f"topic {wanted.name} was not created", error)
        return _refused(wanted, ErrorCode.KAFKA_STORAGE_ERROR, told)
    return CreatableTopicResult(
        name=wanted.name,
        topic_id=topic_id,
        error_code=ErrorCode.NONE,
        num_partitions=partitions,
        replication_factor=REPLICATION_FACTOR,
        configs=[
            CreatableTopicConfigs(
                name=name,
                value=value,
                read_only=False,
                is_sensitive=False,
                config_source=DYNAMIC_TOPIC_CONFIG if name in configs else DEFAULT_CONFIG,
            )
            for name, value in described(configs, defaults=broker.storage.defaults).items()
        ],
    )


def _partitions(wanted: CreatableTopic, default: int) -> int:
    """How many partitions; raises `TopicRefused` for a layout that one broker cannot have."""
    if wanted.assignments:
        numbers = sorted(assignment.partition_index for assignment in wanted.assignments)
        if numbers != list(range(len(numbers))) or any(
            assignment.broker_ids != [NODE_ID] for assignment in wanted.assignments
        ):
            raise TopicRefused(
                ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"every replica of this cluster is on broker {NODE_ID}"
            )
        return len(numbers)
    if wanted.replication_factor not in (DEFAULT, REPLICATION_FACTOR):
        raise TopicRefused(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"replication factor {wanted.replication_factor} is not possible: there is one broker",
        )
    return default if wanted.num_partitions == DEFAULT else wanted.num_partitions


def _refused(wanted: CreatableTopic, error: ErrorCode, message: str) -> CreatableTopicResult:
    # Clients of the Java line dereference `configs`: it is never null.
    return CreatableTopicResult(name=wanted.name, error_code=error, error_message=message, configs=[])


HANDLER = Handler(CreateTopicsRequest, _handle)
