"""Envelope to record: CloudEvents 1.0.2, Kafka binding, binary content mode.

Written out by hand because it is on the hot path; the tests hold it against the official SDK.
"""

from typing import Final

import msgspec

from trunkline.catalogue.events import Event
from trunkline.codec.attributes import (
    EXTENSIONS_MAX,
    check_extension,
    check_source,
    check_tenant,
    check_text,
    time_bytes,
)
from trunkline.codec.envelope import Envelope
from trunkline.codec.errors import InvalidAttribute, InvalidData, Undecodable
from trunkline.codec.record import Encoded, Headers
from trunkline.codec.wire import CONTENT_TYPE_HEADER, SPEC_VERSION_HEADER, WireType, wire_of_class

_encoder: Final = msgspec.json.Encoder()


def encode(envelope: Envelope[Event]) -> Encoded:
    """The record of an event whose data is known to be valid, such as one that was decoded.

    The key is the tenant id. Headers come in a fixed order, so that equal events have equal bytes. Raises
    `InvalidAttribute` for the context; the data is not checked (see `encode_checked`).
    """
    return _encode(envelope, wire_of_class(type(envelope.data)))


def encode_checked(envelope: Envelope[Event]) -> Encoded:
    """As `encode`, and raises `InvalidData` with the JSON path if a consumer would refuse the data.

    The check decodes the bytes that are about to be sent, with the consumers' own decoder.
    """
    wire = wire_of_class(type(envelope.data))
    encoded = _encode(envelope, wire)
    _check(wire, encoded.value)
    return encoded


def validate(event: Event) -> None:
    """Raises `InvalidData` if a consumer would refuse this event. msgspec does not check on construction."""
    wire = wire_of_class(type(event))
    _check(wire, _value(event, wire))


def _encode(envelope: Envelope[Event], wire: WireType) -> Encoded:
    if envelope.type != wire.type:
        raise InvalidAttribute(f"type {envelope.type!r} does not fit its data of type {wire.type}")
    key = check_tenant(envelope.tenantid)
    headers: Headers = [
        SPEC_VERSION_HEADER,
        wire.type_header,
        ("ce_source", check_source(envelope.source)),
        ("ce_id", check_text("id", envelope.id).encode()),
        ("ce_time", time_bytes(envelope.time)),
        ("ce_tenantid", key),
        CONTENT_TYPE_HEADER,
    ]
    if envelope.subject is not None:
        headers.append(("ce_subject", check_text("subject", envelope.subject).encode()))
    if envelope.correlationid is not None:
        headers.append(("ce_correlationid", check_text("correlationid", envelope.correlationid).encode()))
    if envelope.causationid is not None:
        headers.append(("ce_causationid", check_text("causationid", envelope.causationid).encode()))
    if envelope.traceparent is not None:
        headers.append(("ce_traceparent", check_text("traceparent", envelope.traceparent).encode()))
    if envelope.extensions:
        _append_extensions(headers, envelope)
    return Encoded(key, _value(envelope.data, wire), headers)


def _append_extensions(headers: Headers, envelope: Envelope[Event]) -> None:
    if len(envelope.extensions) > EXTENSIONS_MAX:
        raise InvalidAttribute(
            f"{len(envelope.extensions)} extension attributes; at most {EXTENSIONS_MAX} are allowed"
        )
    for name in sorted(envelope.extensions):
        value = envelope.extensions[name]
        check_extension(name, value)
        headers.append((f"ce_{name}", value.encode()))


def _value(event: Event, wire: WireType) -> bytes:
    try:
        return _encoder.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidData(f"{wire.type}: not expressible in JSON: {error}") from error


def _check(wire: WireType, value: bytes) -> None:
    try:
        wire.read(value)
    except Undecodable as error:
        raise InvalidData(str(error)) from error
