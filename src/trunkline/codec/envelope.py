"""The event as a program sees it: CloudEvents 1.0.2 context attributes and typed data."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import msgspec

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import EventType, TenantId

NO_EXTENSIONS: Final[Mapping[str, str]] = MappingProxyType({})

E_co = TypeVar("E_co", bound=Event, covariant=True)


class Envelope(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True):
    """One event with its context. Its identity is `(tenantid, source, id)`.

    `time` is timezone-aware. `extensions` holds CloudEvents extension attributes without a field of their
    own here; they survive a round trip unchanged.
    """

    id: str
    source: str
    type: EventType
    tenantid: TenantId
    time: datetime
    data: E_co
    subject: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    extensions: Mapping[str, str] = NO_EXTENSIONS
