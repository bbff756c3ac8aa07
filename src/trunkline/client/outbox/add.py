"""Adds events to the outbox, in the transaction that makes them true.

Order is the order of commit, tenant by tenant. On PostgreSQL a transaction that adds an event of a tenant
holds the tenant's lock until it ends, so that the next one takes its numbers only when the first one's rows
are visible: whoever sees a row sees all of the tenant before it, and no later commit puts one in between. Two
transactions of one tenant that both add events therefore run one after the other from their first `add`; add
late in long transactions. On SQLite there is one writer at a time anyway.

The alternative, numbers without a lock and reads bounded by `pg_snapshot_xmin`, keeps an order that is not
the one of commit, and any long transaction in the database would hold up every tenant.
"""

import time as clock
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, insert, text

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TenantId, TopicName
from trunkline.client import sizes
from trunkline.client.config import ProducerOptions
from trunkline.client.errors import EventTooLarge, InvalidEvent, NotPublisher
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.telemetry import in_current_trace
from trunkline.codec import NO_EXTENSIONS, CodecError, Encoded, Envelope, encode_checked, new_envelope

TENANT_LOCK_SEED: Final = 0x6F_75_74_62_6F_78
"""Keeps the advisory locks of tenants apart from anybody else's; "outbox" in ASCII."""

_INSERT: Final = insert(OUTBOX_EVENT)
_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant, :seed))")


def _nothing() -> None:
    """Nobody wants to know."""


class Outbox:
    """One service's way to add events. Refuses what its `Publisher` would refuse. Stateless, thread-safe."""

    def __init__(
        self,
        *,
        service: str,
        catalogue: Catalogue,
        source: str | None = None,
        message_bytes_max: int = ProducerOptions().message_bytes_max,
        on_add: Callable[[], None] = _nothing,
    ) -> None:
        """`source` is the CloudEvents source of new events, `/SERVICE` unless given. `on_add` is called after
        every event that was added, within its transaction.

        Raises `InvalidInput` for a service that the catalogue does not have.
        """
        self.service = service
        self.source = source or f"/{service}"
        self._topics = frozenset(topic.name for topic in catalogue.published_by(service))
        self._message_bytes_max = message_bytes_max
        self._on_add = on_add

    def emit(
        self,
        tx: Connection,
        event: Event,
        *,
        tenant: str,
        id: str | None = None,  # noqa: A002 - the attribute's name
        time: datetime | None = None,
        subject: str | None = None,
        correlationid: str | None = None,
        causationid: str | None = None,
        traceparent: str | None = None,
        extensions: Mapping[str, str] = NO_EXTENSIONS,
    ) -> Envelope[Event]:
        """Add an event of this service, with a new id and the present time unless given. Raises as `add`.

        Give an id from `codec.derive_id` to what a consumer emits: a replay then emits the same event.
        """
        envelope = new_envelope(
            event,
            tenant=TenantId(tenant),
            source=self.source,
            id=id,
            time=time or datetime.now(UTC),
            subject=subject,
            correlationid=correlationid,
            causationid=causationid,
            traceparent=traceparent,
            extensions=extensions,
        )
        self.add(tx, envelope)
        return envelope

    def add(self, tx: Connection, envelope: Envelope[Event]) -> None:
        """Add an event whose context is complete. Raises `PublishRefused`; nothing was added then."""
        topic = declaration_of(envelope.data).topic
        if topic not in self._topics:
            raise NotPublisher(f"{self.service} does not publish {envelope.type}: it belongs on {topic}")
        encoded = _encode(envelope)
        if not sizes.fits(encoded, self._message_bytes_max):
            size = sizes.batch_bytes(encoded)
            raise EventTooLarge(
                f"{envelope.type} of {envelope.tenantid} takes {size} bytes of {self._message_bytes_max}; "
                "publish less, or a reference to it",
                size=size,
                size_max=self._message_bytes_max,
            )
        _insert(tx, topic, envelope, encoded)
        self._on_add()


def add(tx: Connection, envelope: Envelope[Event]) -> None:
    """Add an event in the caller's transaction, which may be a consumer handler's.

    It is published, with its id unchanged, after the transaction has committed, and never if it rolls back.
    Raises `InvalidEvent`. Whether the service may publish it and whether it fits is found out by the relay;
    `Outbox.add` tells it here.
    """
    _insert(tx, declaration_of(envelope.data).topic, envelope, _encode(envelope))


def _encode(envelope: Envelope[Event]) -> Encoded:
    try:
        # The relay publishes it in another thread or process; its trace goes on from here.
        return encode_checked(in_current_trace(envelope))
    except CodecError as error:
        raise InvalidEvent(f"{envelope.type} of {envelope.tenantid}: {error}") from error


def _insert(tx: Connection, topic: TopicName, envelope: Envelope[Event], encoded: Encoded) -> None:
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK, {"tenant": envelope.tenantid, "seed": TENANT_LOCK_SEED})
    headers = {name: value.decode() for name, value in encoded.headers}
    tx.execute(
        _INSERT,
        {
            "id": envelope.id,
            "aggregatetype": topic,
            "aggregateid": envelope.tenantid,
            "type": envelope.type,
            "source": envelope.source,
            "time": headers["ce_time"],
            "payload": encoded.value,
            "headers": msgspec.json.encode(headers).decode(),
            "added_ms": clock.time_ns() // 1_000_000,
            "attempts": 0,
        },
    )
