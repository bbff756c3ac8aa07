"""Record to envelope: CloudEvents 1.0.2, Kafka binding, both content modes.

Everything a stranger can put into a record ends in a `CodecError`: the key, the headers and the value are not
trusted. What is ambiguous, such as an attribute given twice, is refused, since two readers might differ.
"""

from collections.abc import Iterable
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.codec.attributes import (
    CACHED_SOURCES,
    CACHED_TENANTS,
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

_KNOWN: Final = {
    **{
        f"{PREFIX}{name}": name
        for name in (*REQUIRED, "subject", "correlationid", "causationid", "traceparent")
    },
    "content-type": "content-type",
}
_SPEC_VERSION: Final = SPEC_VERSION.encode()
_JSON: Final = CONTENT_TYPE.encode()
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
        name = _KNOWN.get(header) or _unusual(header)
        if name is None:
            continue
        if raw is None:
            raise InvalidAttribute(f"header {header[:80]!r} has no value")
        if name in found:
            raise InvalidAttribute(f"header {header[:80]!r} is given twice")
        found[name] = raw
    return found


def _unusual(header: str) -> str | None:
    """The attribute of a header that is not among the usual ones, or None for somebody else's header."""
    lowered = header.lower()
    if lowered == "content-type":
        return lowered
    if not lowered.startswith(PREFIX):
        return None
    if header != lowered:
        raise InvalidAttribute(f"header {header[:80]!r} is not in lower case")
    return header.removeprefix(PREFIX)


def _assemble(
    record: Record, attributes: dict[str, bytes], *, content_type: bytes | None, value: bytes | None
) -> Envelope[Event]:
    take = attributes.pop
    try:
        spec_version, event_id, source = take("specversion"), take("id"), take("source")
        type_raw, time, tenant_raw = take("type"), take("time"), take("tenantid")
    except KeyError as error:
        raise _missing(record, str(error.args[0]), attributes) from None
    if spec_version != _SPEC_VERSION:
        raise InvalidAttribute(f"specversion is {_text('specversion', spec_version)!r}, not {SPEC_VERSION}")
    tenant = _tenant(tenant_raw)
    if record.key != tenant_raw:
        raise KeyMismatch(f"the key is {_shown(record.key)} and the tenant is {tenant}")
    wire = wire_of_header(type_raw)
    if wire is None:
        raise UnknownType(f"nobody declared the event type {_shown(type_raw)}")
    if wire.topic != record.topic:
        raise WrongTopic(f"{wire.type} belongs on {wire.topic}, not on {record.topic}")
    return Envelope(
        id=check_text("id", _text("id", event_id)),
        source=_source(source),
        type=wire.type,
        tenantid=tenant,
        time=parse_time(time),
        subject=_optional("subject", take("subject", None)),
        correlationid=_optional("correlationid", take("correlationid", None)),
        causationid=_optional("causationid", take("causationid", None)),
        traceparent=_optional("traceparent", take("traceparent", None)),
        extensions=_extensions(attributes) if attributes else NO_EXTENSIONS,
        data=wire.read(_json_value(content_type, value)),
    )


# A consumer sees the same few sources and tenants again and again; errors are not remembered.
@lru_cache(CACHED_TENANTS)
def _tenant(raw: bytes) -> TenantId:
    tenant = _text("tenantid", raw)
    check_tenant(tenant)
    return TenantId(tenant)


@lru_cache(CACHED_SOURCES)
def _source(raw: bytes) -> str:
    source = _text("source", raw)
    check_source(source)
    return source


def _optional(name: str, raw: bytes | None) -> str | None:
    return None if raw is None else check_text(name, _text(name, raw))


def _json_value(content_type: bytes | None, value: bytes | None) -> bytes:
    """The data's bytes. No content type means JSON, as in CloudEvents' own JSON format."""
    if content_type is not None and content_type != _JSON:
        media_type = content_type.partition(b";")[0].strip().lower()
        if media_type != _JSON and not media_type.endswith(b"+json"):
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
