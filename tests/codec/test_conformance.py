"""The official CloudEvents SDK reads what we write and writes what we read."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.names import EventType
from trunkline.codec import Envelope, Record, decode, encode_checked

ALL_TYPES = pytest.mark.parametrize("event_type", sorted(EVENT_TYPES))


def sdk_event(envelope: Envelope[Event]) -> CloudEvent:
    """The same event, built with the SDK alone."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "datacontenttype": "application/json",
        **{
            name: getattr(envelope, name)
            for name in (
                "id",
                "source",
                "type",
                "time",
                "subject",
                "tenantid",
                "correlationid",
                "causationid",
                "traceparent",
            )
        },
        **envelope.extensions,
    }
    return CloudEvent(attributes=attributes, data=msgspec.to_builtins(envelope.data))


def tenant_key(event: BaseCloudEvent) -> str:
    return str(event.get_extension("tenantid"))


def received(message: KafkaMessage, event_type: str) -> Record:
    key = message.key.encode() if isinstance(message.key, str) else message.key
    topic = EVENT_TYPES[EventType(event_type)].topic
    return Record(topic, 0, 0, 0, key, message.value, tuple(message.headers.items()))


@ALL_TYPES
def test_the_sdk_reads_our_records(event_type: str, example: Callable[[str], Envelope[Event]]) -> None:
    envelope = example(event_type)
    encoded = encode_checked(envelope)
    seen = from_binary(KafkaMessage(dict(encoded.headers), encoded.key, encoded.value), JSONFormat())
    assert seen.get_id() == envelope.id
    assert seen.get_type() == envelope.type
    assert seen.get_source() == envelope.source
    assert seen.get_time() == envelope.time
    assert seen.get_subject() == envelope.subject
    assert seen.get_datacontenttype() == "application/json"
    assert seen.get_extension("tenantid") == envelope.tenantid
    assert seen.get_extension("correlationid") == envelope.correlationid
    assert seen.get_extension("dataclassification") == "internal"
    assert msgspec.convert(seen.get_data(), type(envelope.data)) == envelope.data


@ALL_TYPES
def test_we_read_the_sdks_binary_records(event_type: str, example: Callable[[str], Envelope[Event]]) -> None:
    envelope = example(event_type)
    message = to_binary(sdk_event(envelope), JSONFormat(), key_mapper=tenant_key)
    assert decode(received(message, event_type)) == envelope


@ALL_TYPES
def test_we_read_the_sdks_structured_records(
    event_type: str, example: Callable[[str], Envelope[Event]]
) -> None:
    envelope = example(event_type)
    message = to_structured(sdk_event(envelope), JSONFormat(), key_mapper=tenant_key)
    assert decode(received(message, event_type)) == envelope


@ALL_TYPES
def test_what_the_sdk_read_and_wrote_again_is_the_same_event(
    event_type: str, example: Callable[[str], Envelope[Event]]
) -> None:
    envelope = example(event_type)
    encoded = encode_checked(envelope)
    seen = from_binary(KafkaMessage(dict(encoded.headers), encoded.key, encoded.value), JSONFormat())
    again = decode(received(to_binary(seen, JSONFormat(), key_mapper=tenant_key), event_type))
    # The SDK takes the key for a partitionkey attribute; nothing else may differ.
    assert again.extensions == {**envelope.extensions, "partitionkey": "acme"}
    assert msgspec.structs.replace(again, extensions=envelope.extensions) == envelope
    assert isinstance(again.time, datetime)
