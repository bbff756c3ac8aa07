"""Publishes a service's events: validated, keyed by tenant, refused early, with an outcome for each."""

import threading
import time as clock
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TENANT_PATTERN, TenantId, TopicName
from trunkline.client import sizes
from trunkline.client.config import ConnectionOptions, ProducerOptions, producer_config
from trunkline.client.delivery import Delivered, Delivery, Outcome
from trunkline.client.errors import (
    DeliveryRejected,
    DeliveryUnknown,
    EventTooLarge,
    InvalidEvent,
    InvalidTenant,
    KafkaFailed,
    KafkaFatal,
    NotPublisher,
    PublisherClosed,
    QueueFull,
)
from trunkline.client.kafka import Producer, Report
from trunkline.client.log import Log
from trunkline.codec import NO_EXTENSIONS, CodecError, Encoded, Envelope, encode_checked, new_envelope

POLL_SECONDS: Final = 0.1
QUEUE_WAIT_SECONDS: Final = 10.0
"""How long `publish` waits for room in a full queue before it gives up."""

TURN_EVENTS: Final = 1_000
TURN_SECONDS: Final = 0.005
"""A thread that publishes without a pause keeps the interpreter from the publisher's thread, which then hears
of a few hundred outcomes a second. After so many events it gives way, for so many seconds at the most."""

CLOSE_SECONDS: Final = 30.0

_REPEAT: Final = "it may be in the log, and may be published again with the same id"

_log = Log("trunkline.publisher")


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
    ) -> None:
        """`source` is the CloudEvents source of new events, `/SERVICE` unless given.

        Raises `InvalidInput` for a service that the catalogue does not have.
        """
        self.service = service
        self.source = source or f"/{service}"
        self._topics = frozenset(topic.name for topic in catalogue.published_by(service))
        self._options = options or ProducerOptions()
        self._config = producer_config(connection, self._options)
        self._queue_wait_seconds = queue_wait_seconds
        # The lock itself is what the hot path takes: entering it costs half of entering its condition.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._open: set[Delivery] = set()
        self._sent = 0
        self._closed = False
        self._broken = False
        self._producer: Producer[Delivery] = Producer(self._config)
        self._thread = threading.Thread(target=self._serve, name=f"publisher-{service}", daemon=True)
        self._thread.start()

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
        topic, encoded = self._prepare(envelope)
        return self._send(topic, encoded, Delivery(envelope.id, self._changed))

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
        if not sizes.fits(encoded, self._options.message_bytes_max):
            raise self._too_large(envelope, encoded)
        return topic, encoded

    def flush(self, timeout: float) -> int:
        """Wait until every event published so far has an outcome; returns how many still have none."""
        with self._changed:
            waiting = set(self._open)
            self._changed.wait_for(lambda: waiting.isdisjoint(self._open), timeout)
            return len(waiting & self._open)

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Wait for all outcomes; what has none after `timeout` seconds is reported as unknown."""
        self.flush(timeout)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, topic: TopicName, encoded: Encoded, delivery: Delivery) -> Delivery:
        deadline = 0.0
        with self._lock:
            while True:
                if self._closed:
                    raise PublisherClosed(
                        f"the publisher of {self.service} is closed; the event was not sent"
                    )
                try:
                    self._producer.send(topic, encoded, delivery)
                except (QueueFull, KafkaFatal) as error:
                    # Both end by the publisher's thread: it makes room, or it builds a new producer.
                    self._broken = self._broken or isinstance(error, KafkaFatal)
                    deadline = deadline or clock.monotonic() + self._queue_wait_seconds
                    if not self._changed.wait(deadline - clock.monotonic()):
                        raise QueueFull(
                            f"{topic}: {len(self._open)} events wait for the cluster, none was acknowledged "
                            f"within {self._queue_wait_seconds:g} s; this one was not sent"
                        ) from error
                except KafkaFailed as error:
                    raise DeliveryRejected(error.code, f"{topic}: {error}; the event was not sent") from error
                else:
                    self._open.add(delivery)
                    self._sent += 1
                    if self._sent % TURN_EVENTS == 0 and len(self._open) >= TURN_EVENTS:
                        self._changed.wait(TURN_SECONDS)
                    return delivery

    def _serve(self) -> None:
        """The publisher's own thread, the only one that polls. Nothing but `close` ends it."""
        while not self._closed:
            try:
                if self._broken:
                    self._replace_producer()
                self._settle(self._producer.poll(POLL_SECONDS))
            except Exception as error:  # noqa: BLE001 - whatever it is, no delivery may stay open for ever
                _log.error("producer failed, building a new one", service=self.service, error=str(error))
                with self._changed:
                    if self._broken:
                        # Building a new one has failed, too; it is tried again, but not in a tight loop.
                        self._changed.wait_for(lambda: self._closed, POLL_SECONDS)
                    self._broken = True
        self._give_up("the publisher was closed before it was acknowledged")

    def _replace_producer(self) -> None:
        self._give_up("the producer failed before it was acknowledged")
        with self._changed:
            self._producer = Producer(self._config)
            self._broken = False
            self._changed.notify_all()

    def _give_up(self, why: str) -> None:
        """Take the last reports from the producer; the outcome of everything else is unknown."""
        with self._changed:
            reports = self._producer.drain()
            reported = {report.token for report in reports}
            silent = [delivery for delivery in self._open if delivery not in reported]
            for delivery in silent:
                delivery.settle(DeliveryUnknown(f"event {delivery.event_id}: {why}; {_REPEAT}"))
            self._open.difference_update(silent)
            self._changed.notify_all()
        self._settle(reports)
        self._call_back(silent)

    def _settle(self, reports: list[Report[Delivery]]) -> None:
        if not reports:
            return
        outcomes = [_outcome(report) for report in reports]
        deliveries = [report.token for report in reports]
        with self._changed:
            for delivery, outcome in zip(deliveries, outcomes, strict=True):
                delivery.settle(outcome)
            self._open.difference_update(deliveries)
            self._changed.notify_all()
        self._call_back(deliveries)

    def _call_back(self, settled: Iterable[Delivery]) -> None:
        for delivery in settled:
            try:
                delivery.call_back()
            except Exception as error:  # noqa: BLE001 - one caller's mistake is not the next one's outcome
                _log.error("a delivery callback failed", event_id=delivery.event_id, error=repr(error))

    def _not_publisher(self, envelope: Envelope[Event], topic: TopicName) -> NotPublisher:
        own = ", ".join(sorted(self._topics)) or "nothing"
        return NotPublisher(
            f"{self.service} does not publish {envelope.type}: it belongs on {topic}, and {self.service} "
            f"publishes {own}"
        )

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


def _outcome(report: Report[Delivery]) -> Outcome:
    if report.code is None:
        return Delivered(report.topic, report.partition, report.offset)
    event = f"event {report.token.event_id} to {report.topic}: {report.message}"
    if report.lost:
        return DeliveryRejected(report.code, f"{event} ({report.code}); it is not in the log")
    return DeliveryUnknown(f"{event} ({report.code}); {_REPEAT}")
