"""The event as a program sees it: CloudEvents 1.0.2 context attributes and typed data."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import msgspec

from trunkline.catalogue.events import Event, event_type_of
from trunkline.catalogue.names import EventType, TenantId
from trunkline.codec.identity import new_id

NO_EXTENSIONS: Final[Mapping[str, str]] = MappingProxyType({})

E_co = TypeVar("E_co", bound=Event, covariant=True)
E = TypeVar("E", bound=Event)


class Envelope(msgspec.Struct, Generic[E_co], frozen=True, kw_only=True, gc=False):
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


def new_envelope(
    event: E,
    *,
    tenant: TenantId,
    source: str,
    time: datetime,
    id: str | None = None,  # noqa: A002 - the attribute's own name
    subject: str | None = None,
    correlationid: str | None = None,
    causationid: str | None = None,
    traceparent: str | None = None,
    extensions: Mapping[str, str] = NO_EXTENSIONS,
) -> Envelope[E]:
    """An envelope around an event, of the event's own type; without an id it gets a fresh one.

    Give an id (`derive_id`) to whatever may be produced again from the same cause. Nothing is checked here:
    the codec does that when it encodes.
    """
    return Envelope(
        id=new_id() if id is None else id,
        source=source,
        type=event_type_of(event),
        tenantid=tenant,
        time=time,
        data=event,
        subject=subject,
        correlationid=correlationid,
        causationid=causationid,
        traceparent=traceparent,
        extensions=extensions,
    )
