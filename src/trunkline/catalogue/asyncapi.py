"""The contract as an AsyncAPI 3.0.0 document: channels, operations per service, messages, Kafka bindings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from trunkline.catalogue.events import EVENT_TYPES, EventDeclaration
from trunkline.catalogue.model import Catalogue, Environment, Topic
from trunkline.catalogue.names import TENANT_PATTERN, EventType

ASYNCAPI_VERSION: Final = "3.0.0"
KAFKA_BINDING_VERSION: Final = "0.5.0"
CONTENT_TYPE: Final = "application/json"

_KEY_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"^{TENANT_PATTERN.pattern}$",
    "description": "The tenant id, the same as ce_tenantid.",
}


def asyncapi_document(
    catalogue: Catalogue,
    *,
    environment: Environment,
    version: str,
    declarations: Mapping[EventType, EventDeclaration] = EVENT_TYPES,
) -> dict[str, Any]:
    """The document for one environment; `version` is the contract's own, not AsyncAPI's."""
    by_topic: dict[str, list[EventDeclaration]] = {name: [] for name in catalogue.topics}
    for declaration in sorted(declarations.values(), key=lambda item: item.type):
        if declaration.topic in by_topic:
            by_topic[declaration.topic].append(declaration)
    known = [declaration for group in by_topic.values() for declaration in group]
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Event contract",
            "version": version,
            "description": "Every topic with its one publisher, its consumers and its event types.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            name: _channel(topic, by_topic[name], environment) for name, topic in catalogue.topics.items()
        },
        "operations": dict(
            operation for topic in catalogue.topics.values() for operation in _operations(catalogue, topic)
        ),
        "components": {
            "messages": {declaration.type: _message(declaration) for declaration in known},
            "schemas": _schemas(known),
        },
    }


def _channel(
    topic: Topic, declarations: Sequence[EventDeclaration], environment: Environment
) -> dict[str, Any]:
    return {
        "address": topic.name,
        "messages": {item.type: {"$ref": f"#/components/messages/{item.type}"} for item in declarations},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions[environment.name],
                "replicas": environment.replication_factor,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": environment.retention_ms,
                    "max.message.bytes": environment.max_message_bytes,
                },
                "bindingVersion": KAFKA_BINDING_VERSION,
            }
        },
    }


def _operations(catalogue: Catalogue, topic: Topic) -> list[tuple[str, dict[str, Any]]]:
    """One `send` for the publisher and one `receive` for each consumer."""
    ends = [(topic.publisher, "send"), *((consumer, "receive") for consumer in topic.consumers)]
    return [
        (
            f"{service}.{action}.{topic.name}",
            {
                "action": action,
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "title": f"{catalogue.service(service).title} {action}s {topic.name}",
                "tags": [{"name": service}],
                "bindings": {
                    "kafka": {
                        "clientId": {"type": "string", "pattern": f"^{service}"},
                        "bindingVersion": KAFKA_BINDING_VERSION,
                    }
                },
            },
        )
        for service, action in ends
    ]


def _message(declaration: EventDeclaration) -> dict[str, Any]:
    cls = declaration.cls
    return {
        "name": declaration.type,
        "title": cls.__name__,
        "summary": (cls.__doc__ or "").strip().partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/CloudEventsHeaders"},
        "payload": {"$ref": f"#/components/schemas/{cls.__name__}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": _KEY_SCHEMA, "bindingVersion": KAFKA_BINDING_VERSION}},
        "examples": [{"name": "example", "payload": dict(declaration.example)}],
    }


def _schemas(declarations: Sequence[EventDeclaration]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(
        [declaration.cls for declaration in declarations], ref_template="#/components/schemas/{name}"
    )
    return {"CloudEventsHeaders": _headers_schema(), **schemas}


def _headers_schema() -> dict[str, Any]:
    """CloudEvents 1.0.2 in Kafka's binary content mode, as this contract uses it."""
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_tenantid"],
        "properties": {
            "ce_specversion": {"type": "string", "const": "1.0"},
            "ce_id": text | {"description": "With tenant and source, the identity of the event."},
            "ce_source": text | {"format": "uri-reference"},
            "ce_type": text,
            "ce_time": text | {"format": "date-time"},
            "ce_tenantid": _KEY_SCHEMA,
            "ce_subject": text,
            "ce_correlationid": text,
            "ce_causationid": text,
            "ce_traceparent": text,
            "content-type": {"type": "string", "const": CONTENT_TYPE},
        },
    }
