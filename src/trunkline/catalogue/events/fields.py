"""The kinds of field that event types are made of, each with its bounds."""

from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta


def whole(pattern: str) -> str:
    """A pattern that must match the whole text, in Python's dialect and in JSON Schema's (ECMA 262) alike.

    The look-ahead is for Python, whose `$` also matches before a final line feed.
    """
    return f"^(?:{pattern})$(?!\\n)"


COUNT_MAX: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259 section 6)."""

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
"""The name of a user, a run, a resource: opaque, bounded because it becomes a key in a store."""

Urn: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)]
"""Names an asset across services, for instance `urn:table:sales.orders`."""

LongName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2_048)]
"""Names a thing in somebody else's system: an ARN, a URL, an object path."""

Word: TypeAlias = Annotated[str, Meta(pattern=whole("[a-z][a-z0-9_]{0,63}"))]
"""A short stable code for programs."""

Title: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
"""A short text for people."""

Reason: TypeAlias = Annotated[str, Meta(max_length=2_000)]
"""A sentence or two for people."""

Sql: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100_000)]
"""The text of a statement. Larger ones are cut by the publisher; the fingerprint is of the whole."""

Sha256: TypeAlias = Annotated[str, Meta(pattern=whole("[0-9a-f]{64}"))]

Count: TypeAlias = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
"""A whole number of things: rows, bytes, tokens. Never a float: what is billed adds up exactly."""

Positive: TypeAlias = Annotated[int, Meta(ge=1, le=COUNT_MAX)]

DurationMs: TypeAlias = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
"""Milliseconds."""

DurationUs: TypeAlias = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
"""Microseconds."""

Percent: TypeAlias = Annotated[int, Meta(ge=0, le=100)]

Ratio: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]

Measure: TypeAlias = Annotated[float, Meta(ge=-1e300, le=1e300)]
"""A measured value that is compared and never summed, such as a quality metric."""

DecimalText: TypeAlias = Annotated[str, Meta(pattern=whole("-?[0-9]{1,18}(?:\\.[0-9]{1,9})?"))]
"""A decimal number as text, exact to nine places: quantities and money that are summed."""

Currency: TypeAlias = Annotated[str, Meta(pattern=whole("[A-Z]{3}"))]
"""ISO 4217."""

Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A moment with its offset (RFC 3339)."""

Email: TypeAlias = Annotated[
    str, Meta(pattern=whole("[^@\\s]+@[^@\\s]+"), max_length=320, extra_json_schema={"x-pii": True})
]
"""Personal data, marked so that an erasure finds it."""

IpAddress: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, extra_json_schema={"x-pii": True})]
"""An address, or the name of the cloud service that called in its place."""

UserAgent: TypeAlias = Annotated[str, Meta(max_length=2_048)]

JsonObject: TypeAlias = dict[str, Any]
"""Free detail, kept as it came. The publisher bounds it: an event with its headers must fit a message."""
