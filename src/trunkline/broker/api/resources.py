"""What the configuration APIs (32, 33, 44) share: the resources there are, and how they are changed."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.log.errors import TopicRefused
from trunkline.broker.log.fs import FsError
from trunkline.broker.log.topic_config import log_options
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.storage import Topic

TOPIC: Final = 2
BROKER: Final = 4


class Outcome(NamedTuple):
    """How a request about one resource ended."""

    error: ErrorCode
    message: str | None = None


def is_this_broker(name: str) -> bool:
    """A broker resource is named by its id; no name is the default of all brokers, which is this one."""
    return name in ("", str(NODE_ID))


def changeable_topic(broker: Broker, kind: int, name: str) -> Topic:
    """The topic whose configuration a request changes. Raises `TopicRefused` for everything else."""
    if kind != TOPIC:
        raise TopicRefused(
            ErrorCode.INVALID_REQUEST,
            "only topics can be configured at run time; a broker is configured when it is started",
        )
    topic = broker.topic(name)
    if topic is None:
        raise TopicRefused(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
    return topic


def configure(broker: Broker, topic: Topic, configs: Mapping[str, str], *, validate_only: bool) -> Outcome:
    """Give a topic the configuration `configs` and nothing else, or say why that cannot be."""
    try:
        if validate_only:
            log_options(configs, defaults=broker.storage.defaults)
        else:
            broker.storage.alter_topic(topic.name, configs)
    except TopicRefused as refused:
        return Outcome(refused.error, refused.message)
    except FsError as error:
        told = broker.refused(f"topic {topic.name} was not configured", error)
        return Outcome(ErrorCode.KAFKA_STORAGE_ERROR, told)
    return Outcome(ErrorCode.NONE)
