"""Publishes a service's events: validated, keyed by tenant, refused early, with an outcome for each."""

import time as clock
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TENANT_PATTERN, TenantId, TopicName
from trunkline.client import sizes
from trunkline.client.config import ConnectionOptions, ProducerOptions
from trunkline.client.delivery import Delivery
from trunkline.client.dispatcher import Dispatcher
from trunkline.client.errors import EventTooLarge, InvalidEvent, InvalidTenant, NotPublisher
from trunkline.client.telemetry import spans_of_publisher
from trunkline.codec import NO_EXTENSIONS, CodecError, Encoded, Envelope, encode_checked, new_envelope

QUEUE_WAIT_SECONDS: Final = 10.0
"""How long `publish` waits for room in a full queue before it gives up."""

CLOSE_SECONDS: Final = 30.0

INTERRUPTED_SECONDS: Final = 1.0
"""How long leaving by Ctrl-C waits for outcomes; whoever presses it wants to go."""


class Context(TypedDict, total=False):
    """The optional context attributes of a new event."""

    id: str | None
    time: datetime | None
    subject: str | None
    correlationid: str | None
    causationid: str | None
    traceparent: str | None
    extensions: Mapping[str, str]


class Publisher:
    """One service's way to publish. Thread-safe; a context manager that closes.

    Everything that can be known to be wrong is refused by `publish` itself, before anything is sent, with a
    `PublishRefused`. What was accepted has exactly one outcome, which its `Delivery` tells.

    A tenant's events of one topic get into the log in the order of publishing. After one of them was rejected
    or is of unknown outcome, that tenant's later events wait until it was published again (`publish_again`,
    or `publish` with its id) or given up (`give_up`); if neither happens within the delivery time-out, the
    waiting ones are rejected in their turn. Other tenants go on.
    """

    def __init__(
        self,
        *,
        service: str,
        connection: ConnectionOptions,
        catalogue: Catalogue,
        options: ProducerOptions | None = None,
        source: str | None = None,
        queue_wait_seconds: float = QUEUE_WAIT_SECONDS,
        tracer_provider: TracerProvider | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`source` is the CloudEvents source of new events, `/SERVICE` unless given.

        Spans go to `tracer_provider`, else to the one that the process has configured by now, else nowhere.
        Metrics are in `registry` until the publisher is closed, if one is given; not two publishers in one.
        Raises `InvalidInput` for a service that the catalogue does not have.
        """
        self.service = service
        self.source = source or f"/{service}"
        self._topics = frozenset(topic.name for topic in catalogue.published_by(service))
        self._options = options or ProducerOptions()
        self._spans = spans_of_publisher(tracer_provider, client_id=connection.client_id)
        self._dispatcher = Dispatcher(
            service=service,
            connection=connection,
            options=self._options,
            queue_wait_seconds=queue_wait_seconds,
            registry=registry,
        )

    def new_envelope(
        self,
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
        """An event of this service, with a new id and the present time unless given; not checked yet."""
        return new_envelope(
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

    def publish(self, event: Event, *, tenant: str, **context: Unpack[Context]) -> Delivery:
        """Publish one event of a tenant; `context` is what `new_envelope` takes.

        Raises `NotPublisher`, `InvalidTenant`, `InvalidEvent`, `EventTooLarge`, `QueueFull` and
        `PublisherClosed`; the event was not sent then.
        """
        return self.publish_envelope(self.new_envelope(event, tenant=tenant, **context))

    def publish_envelope(self, envelope: Envelope[Event]) -> Delivery:
        """Publish an event whose context is complete. Raises as `publish` does."""
        return self._dispatcher.accept(self._delivery(envelope))

    def publish_again(self, delivery: Delivery) -> Delivery:
        """Publish the event of this delivery once more with the same id; it goes first in its lane.

        For events that were rejected or are of unknown outcome. Raises as `publish` does.
        """
        return self.publish_envelope(delivery.envelope)

    def give_up(self, delivery: Delivery) -> bool:
        """Let the later events of this event's tenant and topic go on without what failed before them.

        False if they do not wait. An event given up should not be published again: it would be out of order.
        """
        return self._dispatcher.give_up(delivery)

    def offer(self, envelope: Envelope[Event], when_room: Callable[[], None]) -> Delivery | None:
        """As `publish_envelope`, without waiting: None if the queue is full.

        `when_room` is then called once, on the publisher's thread, as soon as there is room. It must not
        block.
        """
        delivery = self._delivery(envelope)
        return delivery if self._dispatcher.offer(delivery, when_room) else None

    def check(self, envelope: Envelope[Event]) -> None:
        """Raise what `publish_envelope` would refuse, and send nothing."""
        self._prepare(envelope)

    def _prepare(self, envelope: Envelope[Event]) -> tuple[TopicName, Encoded]:
        topic = declaration_of(envelope.data).topic
        if topic not in self._topics:
            raise NotPublisher(self._not_publisher(envelope, topic))
        try:
            encoded = encode_checked(envelope)
        except CodecError as error:
            _check_tenant(envelope.tenantid)
            raise InvalidEvent(f"{envelope.type} of {envelope.tenantid}: {error}") from error
        self._check_size(envelope, encoded)
        return topic, encoded

    def _delivery(self, envelope: Envelope[Event]) -> Delivery:
        topic, encoded = self._prepare(envelope)
        end_span = None
        if self._spans is not None:
            span, envelope = self._spans.start(topic, envelope, encoded)
            self._check_size(envelope, encoded)
            end_span = span.end
        # By position: this is on the hot path.
        return Delivery(
            envelope,
            (topic, envelope.tenantid),
            encoded.key,
            encoded.value,
            tuple(encoded.headers),
            sizes.upper_bound(encoded),
            clock.monotonic(),
            self._dispatcher.changed,
            end_span,
        )

    def flush(self, timeout: float) -> int:
        """Wait until every event published so far has an outcome; returns how many still have none."""
        return self._dispatcher.flush(timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait for all outcomes. After `timeout` seconds what was sent without an answer is reported as
        unknown, and what was not sent yet as rejected."""
        self._dispatcher.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.close(INTERRUPTED_SECONDS if interrupted else CLOSE_SECONDS)

    def _not_publisher(self, envelope: Envelope[Event], topic: TopicName) -> NotPublisher:
        own = ", ".join(sorted(self._topics)) or "nothing"
        return NotPublisher(
            f"{self.service} does not publish {envelope.type}: it belongs on {topic}, and {self.service} "
            f"publishes {own}"
        )

    def _check_size(self, envelope: Envelope[Event], encoded: Encoded) -> None:
        if not sizes.fits(encoded, self._options.message_bytes_max):
            raise self._too_large(envelope, encoded)

    def _too_large(self, envelope: Envelope[Event], encoded: Encoded) -> EventTooLarge:
        size, size_max = sizes.batch_bytes(encoded), self._options.message_bytes_max
        return EventTooLarge(
            f"{envelope.type} of {envelope.tenantid} takes {size} bytes, {size - size_max} more than the "
            f"{size_max} that fit; publish less, or a reference to it",
            size=size,
            size_max=size_max,
        )


def _check_tenant(tenant: str) -> None:
    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidTenant(
            f"tenant {tenant[:80]!r}: use 1 to 64 letters, digits, '.', '_' or '-', first a letter or digit"
        )
