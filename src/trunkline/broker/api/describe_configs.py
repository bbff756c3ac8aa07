"""DescribeConfigs (32), versions 1-4: what is set on topics and on the broker, and where that comes from."""

from collections.abc import Iterable, Mapping
from typing import Final

from trunkline.broker.api import resources
from trunkline.broker.api.call import Call, Handler
from trunkline.broker.broker import NODE_ID, Broker
from trunkline.broker.log.topic_config import described
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)

SET_ON_TOPIC: Final = 1
SET_AT_START: Final = 4
DEFAULT: Final = 5
"""Where a value comes from (ConfigSource)."""

BOOLEAN: Final = 1
STRING: Final = 2
INT: Final = 3
LONG: Final = 5
LIST: Final = 7
"""What a value is (ConfigType)."""

_TYPES: Final[Mapping[str, int]] = {
    "auto.create.topics.enable": BOOLEAN,
    "broker.id": INT,
    "cleanup.policy": LIST,
    "default.replication.factor": INT,
    "log.dirs": LIST,
    "log.retention.bytes": LONG,
    "log.retention.ms": LONG,
    "log.segment.bytes": INT,
    "max.message.bytes": INT,
    "message.max.bytes": INT,
    "min.insync.replicas": INT,
    "num.partitions": INT,
    "retention.bytes": LONG,
    "retention.ms": LONG,
    "segment.bytes": INT,
    "segment.ms": LONG,
}


def _handle(broker: Broker, request: DescribeConfigsRequest, _call: Call) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(
        results=[
            _describe(broker, resource, synonyms=request.include_synonyms) for resource in request.resources
        ]
    )


def _describe(broker: Broker, resource: DescribeConfigsResource, *, synonyms: bool) -> DescribeConfigsResult:
    kind, name = resource.resource_type, resource.resource_name
    if kind == resources.TOPIC:
        topic = broker.topic(name)
        if topic is None:
            return _refused(resource, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {name}")
        entries = _topic_entries(broker, topic.configs, synonyms=synonyms)
    elif kind == resources.BROKER and resources.is_this_broker(name):
        entries = [
            _entry(key, value, source=SET_AT_START, read_only=True)
            for key, value in _broker_settings(broker).items()
        ]
    else:
        return _refused(
            resource, ErrorCode.INVALID_REQUEST, f"there are topics and broker {NODE_ID} to describe"
        )
    wanted = resource.configuration_keys
    return DescribeConfigsResult(
        error_code=ErrorCode.NONE,
        resource_type=kind,
        resource_name=name,
        configs=[entry for entry in entries if not wanted or entry.name in wanted],
    )


def _topic_entries(
    broker: Broker, configs: Mapping[str, str], *, synonyms: bool
) -> Iterable[DescribeConfigsResourceResult]:
    defaults = described({}, defaults=broker.storage.defaults)
    for name, value in described(configs, defaults=broker.storage.defaults).items():
        is_set = name in configs
        sources = [(value, SET_ON_TOPIC)] if is_set else []
        yield _entry(
            name,
            value,
            source=SET_ON_TOPIC if is_set else DEFAULT,
            synonyms=[*sources, (defaults[name], DEFAULT)] if synonyms else [],
        )


def _broker_settings(broker: Broker) -> dict[str, str]:
    settings, defaults = broker.settings, broker.storage.defaults
    return {
        "advertised.listeners": f"PLAINTEXT://{broker.host}:{broker.port}",
        "auto.create.topics.enable": str(settings.auto_create_topics).lower(),
        "broker.id": str(NODE_ID),
        "default.replication.factor": "1",
        "log.dirs": str(settings.data_dir),
        "log.retention.bytes": str(defaults.retention_bytes),
        "log.retention.ms": str(defaults.retention_ms),
        "log.segment.bytes": str(defaults.segment_bytes),
        "message.max.bytes": str(defaults.max_message_bytes),
        "min.insync.replicas": "1",
        "num.partitions": str(settings.default_partitions),
    }


def _entry(
    name: str,
    value: str,
    *,
    source: int,
    read_only: bool = False,
    synonyms: Iterable[tuple[str, int]] = (),
) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=name,
        value=value,
        read_only=read_only,
        config_source=source,
        is_sensitive=False,
        synonyms=[
            DescribeConfigsSynonym(name=name, value=synonym, source=origin) for synonym, origin in synonyms
        ],
        config_type=_TYPES.get(name, STRING),
        documentation=None,
    )


def _refused(resource: DescribeConfigsResource, error: ErrorCode, message: str) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        error_code=error,
        error_message=message,
        resource_type=resource.resource_type,
        resource_name=resource.resource_name,
        configs=[],
    )


HANDLER = Handler(DescribeConfigsRequest, _handle)
