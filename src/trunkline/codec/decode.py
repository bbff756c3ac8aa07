"""Record to envelope: CloudEvents 1.0.2, Kafka binding, both content modes.

Everything a stranger can put into a record ends in a `CodecError`: the key, the headers and the value are not
trusted. What is ambiguous, such as an attribute given twice, is refused, since two readers might differ.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.codec.attributes import (
    EXTENSIONS_MAX,
    SPEC_VERSION,
    check_extension,
    check_source,
    check_tenant,
    check_text,
    parse_time,
)
from trunkline.codec.envelope import NO_EXTENSIONS, Envelope
from trunkline.codec.errors import (
    InvalidAttribute,
    KeyMismatch,
    MissingHeader,
    NotCloudEvents,
    Undecodable,
    UnknownType,
    WrongTopic,
)
from trunkline.codec.record import Record
from trunkline.codec.structured import unfold
from trunkline.codec.wire import CONTENT_TYPE, wire_of_header

PREFIX: Final = "ce_"
REQUIRED: Final = ("specversion", "id", "source", "type", "time", "tenantid")
"""CloudEvents requires the first four; the contract also needs to know when, and whose it is."""

_SPEC_VERSION: Final = SPEC_VERSION.encode()
_STRUCTURED: Final = b"application/cloudevents"


def decode(record: Record) -> Envelope[Event]:
    """The event in this record, checked against everything the contract says about it.

    Raises a `CodecError` for anything that is not one; see `trunkline.codec.errors` for the kinds.
    """
    attributes = _attributes(record.headers)
    content_type = attributes.pop("content-type", None)
    value = record.value
    if content_type is not None and content_type[:23].lower() == _STRUCTURED:
        content_type, value, attributes = unfold(content_type, value)
    elif not attributes:
        raise NotCloudEvents("the record has no ce_ headers and is not application/cloudevents+json")
    return _assemble(record, attributes, content_type=content_type, value=value)


def _attributes(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """The context attributes by name without the prefix, and the content type; other headers are not ours."""
    found: dict[str, bytes] = {}
    for header, raw in headers:
        if header[:3] == PREFIX:
            name = header[3:]
        elif header[:3].lower() == PREFIX:
            raise InvalidAttribute(f"header {header[:80]!r} is not in lower case")
        elif header.lower() == "content-type":
            name = "content-type"
        else:
            continue
        if name in found:
            raise InvalidAttribute(f"header {header[:80]!r} is given twice")
        if raw is None:
            raise InvalidAttribute(f"header {header[:80]!r} has no value")
        found[name] = raw
    return found


def _assemble(
    record: Record, attributes: dict[str, bytes], *, content_type: bytes | None, value: bytes | None
) -> Envelope[Event]:
    take = attributes.pop
    try:
        spec_version, event_id = take("specversion"), take("id")
        source, type_raw = take("source"), take("type")
        time, tenant_raw = take("time"), take("tenantid")
    except KeyError as error:
        raise _missing(record, str(error.args[0]), attributes) from None
    if spec_version != _SPEC_VERSION:
        raise InvalidAttribute(f"specversion is {_text('specversion', spec_version)!r}, not {SPEC_VERSION}")
    tenant = _text("tenantid", tenant_raw)
    check_tenant(tenant)
    if record.key != tenant_raw:
        raise KeyMismatch(f"the key is {_shown(record.key)} and the tenant is {tenant}")
    wire = wire_of_header(type_raw)
    if wire is None:
        raise UnknownType(f"nobody declared the event type {_shown(type_raw)}")
    if wire.topic != record.topic:
        raise WrongTopic(f"{wire.type} belongs on {wire.topic}, not on {record.topic}")
    source_text = _text("source", source)
    check_source(source_text)
    envelope_id = check_text("id", _text("id", event_id))
    moment = parse_time(time)
    subject, correlation = take("subject", None), take("correlationid", None)
    causation, traceparent = take("causationid", None), take("traceparent", None)
    return Envelope(
        id=envelope_id,
        source=source_text,
        type=wire.type,
        tenantid=TenantId(tenant),
        time=moment,
        data=wire.read(_json_value(content_type, value)),
        subject=None if subject is None else check_text("subject", _text("subject", subject)),
        correlationid=(
            None if correlation is None else check_text("correlationid", _text("correlationid", correlation))
        ),
        causationid=None if causation is None else check_text("causationid", _text("causationid", causation)),
        traceparent=(
            None if traceparent is None else check_text("traceparent", _text("traceparent", traceparent))
        ),
        extensions=_extensions(attributes) if attributes else NO_EXTENSIONS,
    )


def _json_value(content_type: bytes | None, value: bytes | None) -> bytes:
    """The data's bytes. No content type means JSON, as in CloudEvents' own JSON format."""
    if content_type is not None:
        media_type = content_type.partition(b";")[0].strip().lower()
        if media_type != CONTENT_TYPE.encode() and not media_type.endswith(b"+json"):
            raise Undecodable(f"the content type is {_shown(content_type)}, not {CONTENT_TYPE}")
    if value is None:
        raise Undecodable("the value is null; an event of this contract always has data")
    return value


def _extensions(attributes: dict[str, bytes]) -> MappingProxyType[str, str]:
    if len(attributes) > EXTENSIONS_MAX:
        raise InvalidAttribute(
            f"{len(attributes)} extension attributes; at most {EXTENSIONS_MAX} are allowed"
        )
    extensions = {name: _text(name, raw) for name, raw in attributes.items()}
    for name, text in extensions.items():
        check_extension(name, text)
    return MappingProxyType(extensions)


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidAttribute(f"{name[:80]} is not UTF-8 text (byte {error.start})") from error


def _shown(raw: bytes | None) -> str:
    return "absent" if raw is None else repr(raw[:80].decode("utf-8", "replace"))


def _missing(record: Record, first: str, left: dict[str, bytes]) -> MissingHeader:
    """Names every absent attribute; those taken before the first absent one were there."""
    absent = [first, *(name for name in REQUIRED[REQUIRED.index(first) + 1 :] if name not in left)]
    return MissingHeader(f"record without {', '.join(PREFIX + name for name in absent)} on {record.topic}")
