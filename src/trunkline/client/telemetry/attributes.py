"""Every attribute name that a span of ours can have, in one table.

The names are those of OpenTelemetry's semantic conventions for messaging and for CloudEvents, which are still
in development: version 1.45 renames three of these. Whoever makes the spans chooses the version; the default
is 1.44, which is what others in the same trace speak today.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The attribute names of one version of the conventions. The defaults are those of 1.44."""

    schema_url: str = "https://opentelemetry.io/schemas/1.44.0"

    system: str = "messaging.system"
    operation_name: str = "messaging.operation.name"
    operation_type: str = "messaging.operation.type"
    destination: str = "messaging.destination.name"
    partition: str = "messaging.destination.partition.id"
    """A string, unlike the offset."""

    group: str = "messaging.consumer.group.name"
    client_id: str = "messaging.client.id"
    message_id: str = "messaging.message.id"
    """The event's id."""

    message_count: str = "messaging.batch.message_count"
    key: str = "messaging.kafka.message.key"
    """The tenant. As an attribute of a span that is cheap; as a label of a metric it would not be."""

    offset: str = "messaging.kafka.offset"
    error_type: str = "error.type"

    event_type: str = "cloudevents.event_type"
    event_source: str = "cloudevents.event_source"

    duplicate_count: str = "trunkline.batch.duplicate_count"
    failure_count: str = "trunkline.batch.failure_count"
    failure_reason: str = "trunkline.failure.reason"


V1_44: Final = Names()
V1_45: Final = Names(
    schema_url="https://opentelemetry.io/schemas/1.45.0",
    system="messaging.system.name",
    key="kafka.message.key",
    offset="kafka.offset",
)
"""The coming names: the system's, and those of Kafka without the prefix."""

SYSTEM: Final = "kafka"

SEND: Final = "send"
POLL: Final = "poll"
PROCESS: Final = "process"
COMMIT: Final = "commit"

OPERATION_TYPES: Final = {SEND: "send", POLL: "receive", PROCESS: "process", COMMIT: "settle"}
"""What kind of operation each of ours is, in the words of the conventions."""
