"""The rules for context attributes, shared by both directions.

CloudEvents 1.0.2, "Attribute Naming Convention" and "Type System". Values that repeat from event to event
(sources, tenants) are checked once and remembered, in caches whose size is bounded.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final

import msgspec

from trunkline.catalogue.names import TENANT_PATTERN
from trunkline.codec.errors import InvalidAttribute

SPEC_VERSION: Final = "1.0"

ATTRIBUTE_CHARS_MAX: Final = 2_048
"""Bounds every attribute: stores index ids and sources, and headers count against the message size."""

EXTENSIONS_MAX: Final = 32
"""Bounds how many extension attributes an event may carry."""

RESERVED_NAMES: Final = frozenset(
    {
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "subject",
        "tenantid",
        "correlationid",
        "causationid",
        "traceparent",
        "datacontenttype",
        "data",
        "data_base64",
    }
)
"""Attributes with a place of their own; an extension may not take their names."""

_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
# Control characters, surrogates and Unicode's noncharacters: what a CloudEvents String may not contain.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "]"
)
# RFC 3986 section 4.1, by its alphabet: enough to keep spaces, quotes and control characters out of a URI.
_URI_REFERENCE: Final = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")

CACHED_SOURCES: Final = 1_024
CACHED_TENANTS: Final = 16_384
"""How many checked values are remembered; a source or tenant beyond them is checked again."""

# msgspec writes and checks RFC 3339 an order of magnitude faster than datetime does.
_encode_json: Final = msgspec.json.Encoder().encode
_instant_decoder: Final[msgspec.json.Decoder[datetime]] = msgspec.json.Decoder(
    Annotated[datetime, msgspec.Meta(tz=True)]
)


def check_text(name: str, value: str) -> str:
    """The value itself if it may be this attribute. Raises `InvalidAttribute`."""
    # Printable text, which is nearly all of it, cannot contain what the pattern looks for.
    if 0 < len(value) <= ATTRIBUTE_CHARS_MAX and value.isprintable():
        return value
    if not value:
        raise InvalidAttribute(f"{name} is empty")
    if len(value) > ATTRIBUTE_CHARS_MAX:
        raise InvalidAttribute(
            f"{name} has {len(value)} characters, at most {ATTRIBUTE_CHARS_MAX} are allowed"
        )
    if found := _FORBIDDEN.search(value):
        raise InvalidAttribute(f"{name} contains the forbidden character U+{ord(found[0]):04X}")
    return value


def check_extension(name: str, value: str) -> None:
    """Raises `InvalidAttribute` unless this may be an extension attribute."""
    if not _NAME.fullmatch(name):
        raise InvalidAttribute(f"attribute name {name[:80]!r} is not lower-case letters and digits")
    if name in RESERVED_NAMES:
        raise InvalidAttribute(f"{name} is not an extension attribute")
    check_text(name, value)


@lru_cache(CACHED_SOURCES)
def check_source(value: str) -> bytes:
    """The bytes of a source, which is a URI reference (RFC 3986). Raises `InvalidAttribute`."""
    check_text("source", value)
    if not _URI_REFERENCE.fullmatch(value):
        raise InvalidAttribute(f"source {value[:80]!r} is not a URI reference")
    return value.encode()


@lru_cache(CACHED_TENANTS)
def check_tenant(value: str) -> bytes:
    """The bytes of a tenant id, which are also the record's key. Raises `InvalidAttribute`."""
    if not TENANT_PATTERN.fullmatch(value):
        raise InvalidAttribute(
            f"tenant id {value[:80]!r} is not 1 to 64 letters, digits, '.', '_' or '-', "
            "beginning with a letter or a digit"
        )
    return value.encode()


def time_bytes(value: datetime) -> bytes:
    """RFC 3339 in UTC. Raises `InvalidAttribute` for a time without an offset."""
    written = _encode_json(value)
    if written[-2:] == b'Z"':
        return written[1:-1]
    if value.utcoffset() is None:
        raise InvalidAttribute(f"time {value.isoformat()} has no offset; give it in UTC")
    try:
        return _encode_json(value.astimezone(UTC))[1:-1]
    except OverflowError as error:
        raise InvalidAttribute(f"time {value.isoformat()} has no UTC equivalent") from error


def parse_time(raw: bytes) -> datetime:
    """The moment of an RFC 3339 timestamp. Raises `InvalidAttribute`."""
    try:
        return _instant_decoder.decode(b'"' + raw + b'"')
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = raw[:40].decode("utf-8", "replace")
        raise InvalidAttribute(f"time {shown!r} is not an RFC 3339 timestamp with an offset") from error
