"""Record to envelope: CloudEvents 1.0.2, Kafka binding, both content modes.

Everything a stranger can put into a record ends in a `CodecError`: the key, the headers and the value are not
trusted. What is ambiguous, such as an attribute given twice, is refused, since two readers might differ.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Final, cast

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

_CONTENT_TYPE: Final = "content-type"
_REQUIRED_HEADERS: Final = tuple(PREFIX + name for name in REQUIRED)
_OPTIONAL_HEADERS: Final = ("ce_subject", "ce_correlationid", "ce_causationid", "ce_traceparent")
_USUAL: Final = frozenset({*_REQUIRED_HEADERS, *_OPTIONAL_HEADERS, _CONTENT_TYPE})
_required: Final = itemgetter(*_REQUIRED_HEADERS)
_SPEC_VERSION: Final = SPEC_VERSION.encode()
_JSON: Final = CONTENT_TYPE.encode()
_STRUCTURED: Final = b"application/cloudevents"


def decode(record: Record) -> Envelope[Event]:
    """The event in this record, checked against everything the contract says about it.

    Raises a `CodecError` for anything that is not one; see `trunkline.codec.errors` for the kinds.
    """
    found = dict(record.headers)
    # What our own publisher writes is told by looking at all headers together, not one by one.
    usual = len(found) == len(record.headers) and found.keys() <= _USUAL and None not in found.values()
    headers = cast("dict[str, bytes]", found) if usual else _attributes(record.headers)
    content_type = headers.get(_CONTENT_TYPE)
    if content_type == _JSON and len(headers) > 1:
        return _assemble(record, headers, usual=usual, content_type=content_type, value=record.value)
    value = record.value
    if content_type is not None and content_type[:23].lower() == _STRUCTURED:
        content_type, value, attributes = unfold(content_type, value)
        headers = {PREFIX + name: raw for name, raw in attributes.items()}
    elif len(headers) == (content_type is not None):
        raise NotCloudEvents("the record has no ce_ headers and is not application/cloudevents+json")
    return _assemble(record, headers, usual=False, content_type=content_type, value=value)


def _attributes(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """The headers with context attributes, and the content type's; all others are not ours."""
    found: dict[str, bytes] = {}
    for header, raw in headers:
        name = header if header in _USUAL else _unusual(header)
        if name is None:
            continue
        if raw is None:
            raise InvalidAttribute(f"header {header[:80]!r} has no value")
        if name in found:
            raise InvalidAttribute(f"header {header[:80]!r} is given twice")
        found[name] = raw
    return found


def _unusual(header: str) -> str | None:
    """Where a header that is not among the usual ones belongs; None for somebody else's header."""
    lowered = header.lower()
    if lowered == _CONTENT_TYPE:
        return lowered
    if not lowered.startswith(PREFIX):
        return None
    if header != lowered:
        raise InvalidAttribute(f"header {header[:80]!r} is not in lower case")
    return header


def _assemble(
    record: Record,
    headers: dict[str, bytes],
    *,
    usual: bool,
    content_type: bytes | None,
    value: bytes | None,
) -> Envelope[Event]:
    try:
        spec_version, event_id, source, type_raw, time, tenant_raw = _required(headers)
    except KeyError:
        raise _missing(record, headers) from None
    given = headers.get
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
        id=_string("id", event_id),
        source=_source(source),
        type=wire.type,
        tenantid=tenant,
        time=parse_time(time),
        subject=None if (raw := given("ce_subject")) is None else _string("subject", raw),
        correlationid=None if (raw := given("ce_correlationid")) is None else _string("correlationid", raw),
        causationid=None if (raw := given("ce_causationid")) is None else _string("causationid", raw),
        traceparent=None if (raw := given("ce_traceparent")) is None else _string("traceparent", raw),
        extensions=NO_EXTENSIONS if usual else _extensions(headers),
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


def _string(name: str, raw: bytes) -> str:
    try:
        return check_text(name, raw.decode())
    except UnicodeDecodeError as error:
        raise _not_text(name, error) from error


def _json_value(content_type: bytes | None, value: bytes | None) -> bytes:
    """The data's bytes. No content type means JSON, as in CloudEvents' own JSON format."""
    if content_type is not None and content_type != _JSON:
        media_type = content_type.partition(b";")[0].strip().lower()
        if media_type != _JSON and not media_type.endswith(b"+json"):
            raise Undecodable(f"the content type is {_shown(content_type)}, not {CONTENT_TYPE}")
    if value is None:
        raise Undecodable("the value is null; an event of this contract always has data")
    return value


def _extensions(headers: dict[str, bytes]) -> Mapping[str, str]:
    unusual = [header for header in headers if header not in _USUAL]
    if not unusual:
        return NO_EXTENSIONS
    if len(unusual) > EXTENSIONS_MAX:
        raise InvalidAttribute(f"{len(unusual)} extension attributes; at most {EXTENSIONS_MAX} are allowed")
    extensions = {}
    for header in unusual:
        name = header.removeprefix(PREFIX)
        extensions[name] = _text(name, headers[header])
    for name, text in extensions.items():
        check_extension(name, text)
    return MappingProxyType(extensions)


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _not_text(name, error) from error


def _not_text(name: str, error: UnicodeDecodeError) -> InvalidAttribute:
    return InvalidAttribute(f"{name[:80]} is not UTF-8 text (byte {error.start})")


def _shown(raw: bytes | None) -> str:
    return "absent" if raw is None else repr(raw[:80].decode("utf-8", "replace"))


def _missing(record: Record, headers: dict[str, bytes]) -> MissingHeader:
    absent = [header for header in _REQUIRED_HEADERS if header not in headers]
    return MissingHeader(f"record without {', '.join(absent)} on {record.topic}")
