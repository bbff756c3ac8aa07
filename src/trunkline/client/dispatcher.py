"""Takes events to the cluster and brings back what became of them, on threads of its own.

The first thread hands over to librdkafka what the lanes let go and settles outcomes. The second
counts partitions, which may block for seconds, and so never holds up the first.
"""

import threading
import time as clock
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from trunkline.client.config import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    BURST_LINGER_MS,
    PARTITIONS_LEASE_SECONDS,
    QUEUE_KIB_MAX,
    REACH_SECONDS,
    UNKNOWN_TOPIC_MS,
    ConnectionOptions,
    ProducerOptions,
    producer_config,
)
from trunkline.client.delivery import Delivered, Delivery, Outcome
from trunkline.client.errors import (
    ClusterUnavailable,
    DeliveryRejected,
    DeliveryUnknown,
    KafkaFailed,
    KafkaFatal,
    PublisherClosed,
    QueueFull,
)
from trunkline.client.kafka import TIMED_OUT, TOO_LARGE, Producer, Report, partition_of
from trunkline.client.lanes import Lanes
from trunkline.client.log import Log

POLL_SECONDS: Final = 0.1
FLUSH_SECONDS: Final = 0.01
"""The longest that the outcomes of one partition wait for those of another."""

COUNT_SECONDS: Final = 0.1
"""How often it is looked whether partitions have to be counted, besides for a topic's first event."""

TURN_EVENTS: Final = 2_000
TURN_SECONDS: Final = 0.02
"""librdkafka takes the interpreter's lock anew for every report. A thread that publishes without a pause may
let it have a few hundred a second, so after so many events it waits for outcomes, so long at the most."""

QUEUE_BYTES_MAX: Final = QUEUE_KIB_MAX * 1024

_REPEAT: Final = "it may be in the log, and may be published again with the same id"
_NOT_SENT: Final = "it is not in the log"

_log = Log("trunkline.publisher")


class Dispatcher:
    """The moving part of a `Publisher`. Thread-safe."""

    def __init__(
        self,
        *,
        service: str,
        connection: ConnectionOptions,
        options: ProducerOptions,
        queue_wait_seconds: float,
    ) -> None:
        self._service = service
        self._servers = connection.bootstrap_servers
        self._config = {**producer_config(connection, options), "linger.ms": BURST_LINGER_MS}
        self._events_max = options.queue_messages_max
        self._queue_wait_seconds = queue_wait_seconds
        # The lock itself is what the hot path takes: entering it costs half of entering its conditions.
        self._lock = threading.Lock()
        self.changed: Final = threading.Condition(self._lock)
        """Notified after outcomes were settled."""
        self._work = threading.Condition(self._lock)
        self._uncounted = threading.Condition(self._lock)
        self._idle = False
        self._when_room: list[Callable[[], None]] = []
        self._accepted = 0
        self._bytes = 0
        self._open: set[Delivery] = set()
        self._sent: set[Delivery] = set()
        self._lanes: Lanes[Delivery] = Lanes(
            place=lambda tenant, count: partition_of(tenant.encode(), count),
            timeout_seconds=options.delivery_timeout_ms / 1000,
            lease_seconds=PARTITIONS_LEASE_SECONDS,
            burst_events=BATCH_EVENTS_MAX,
            burst_bytes=min(BATCH_BYTES_MAX, options.message_bytes_max),
        )
        self._closed = False
        self._broken = False
        self._reached = False
        self._missing: dict[str, float] = {}
        self._producer: Producer[Delivery] = Producer(self._config)
        self._threads = [
            threading.Thread(target=run, name=f"{name}-{service}", daemon=True)
            for name, run in (("publisher", self._serve), ("partitions", self._count))
        ]
        for thread in self._threads:
            thread.start()

    def accept(self, delivery: Delivery) -> Delivery:
        """Queue it, waiting for room. Raises `QueueFull` and `PublisherClosed`; it was not queued then."""
        deadline = None
        with self._lock:
            while not self._queued(delivery):
                deadline = deadline or clock.monotonic() + self._queue_wait_seconds
                if not self.changed.wait(deadline - clock.monotonic()):
                    raise QueueFull(
                        f"{delivery.lane[0]}: {len(self._open)} events wait for the cluster, none was "
                        f"acknowledged within {self._queue_wait_seconds:g} s; this one was not sent"
                    )
            self._accepted += 1
            if self._accepted % TURN_EVENTS == 0 and len(self._open) >= TURN_EVENTS:
                self.changed.wait(TURN_SECONDS)
        return delivery

    def offer(self, delivery: Delivery, when_room: Callable[[], None]) -> bool:
        """Queue it if there is room, otherwise call back once there is. Raises `PublisherClosed`."""
        with self._lock:
            queued = self._queued(delivery)
            if not queued:
                self._when_room.append(when_room)
        return queued

    def give_up(self, delivery: Delivery) -> bool:
        """Open the lane of this event if it is held."""
        with self._lock:
            given = self._lanes.give_up(delivery.lane)
            self._work.notify()
        return given

    def flush(self, timeout: float) -> int:
        """Wait until every event accepted so far has an outcome; returns how many still have none."""
        with self.changed:
            waiting = set(self._open)
            self.changed.wait_for(lambda: waiting.isdisjoint(self._open), timeout)
            return len(waiting & self._open)

    def close(self, timeout: float) -> None:
        """Wait for all outcomes; afterwards everything has one."""
        self.flush(timeout)
        with self._lock:
            self._closed = True
            for condition in (self.changed, self._work, self._uncounted):
                condition.notify_all()
        # The other thread may be waiting for an answer of the cluster; it ends when it has one.
        self._threads[0].join()

    def _queued(self, delivery: Delivery) -> bool:
        if self._closed:
            raise PublisherClosed(f"the publisher of {self._service} is closed; the event was not sent")
        if len(self._open) >= self._events_max or self._bytes >= QUEUE_BYTES_MAX:
            return False
        self._open.add(delivery)
        self._bytes += delivery.size
        if self._lanes.add(delivery):
            self._uncounted.notify()
        if self._idle:
            self._idle = False
            self._work.notify()
        return True

    def _serve(self) -> None:
        """The only thread that polls. Nothing but `close` ends it."""
        while not self._closed:
            try:
                if self._broken:
                    self._replace_producer()
                self._hand_over(self._next())
                self._settle(self._producer.flush(FLUSH_SECONDS) if self._sent else self._producer.poll(0))
                self._expire()
            except Exception as error:  # noqa: BLE001 - whatever it is, no delivery may stay open for ever
                _log.error("producer failed, building a new one", service=self._service, error=str(error))
                with self.changed:
                    if self._broken:
                        # Building a new one has failed, too; it is tried again, but not in a tight loop.
                        self.changed.wait_for(lambda: self._closed, POLL_SECONDS)
                    self._broken = True
        self._drain("the publisher was closed before it was acknowledged")
        with self._lock:
            unsent = self._lanes.abandon()
        self._reject(unsent, "_PURGE_QUEUE", "the publisher was closed before it was sent")

    def _next(self) -> list[Delivery]:
        """What may go now; waits a moment if there is nothing, and nothing under way either."""
        with self._lock:
            taken = self._lanes.take(clock.monotonic())
            if not taken and not self._sent and not self._closed:
                self._idle = True
                self._work.wait(POLL_SECONDS)
                self._idle = False
                taken = self._lanes.take(clock.monotonic())
            self._sent.update(taken)
        return taken

    def _hand_over(self, taken: Sequence[Delivery]) -> None:
        send = self._producer.send
        for index, delivery in enumerate(taken):
            try:
                send(delivery.lane[0], delivery.encoded, delivery, delivery.partition)
            except QueueFull:
                self._take_back(taken[index:])
                return
            except KafkaFatal:
                self._take_back(taken[index:])
                raise
            except KafkaFailed as error:
                # What follows may be of the same tenant, and must not go before this is known to have failed.
                self._take_back(taken[index + 1 :])
                self._finish([(delivery, _rejected(delivery, error.code, str(error)))])
                return

    def _take_back(self, events: Sequence[Delivery], *, fenced_at: float | None = None) -> None:
        with self._lock:
            self._lanes.returned(events, fenced_at=fenced_at)
            self._sent.difference_update(events)

    def _settle(self, reports: Sequence[Report[Delivery]]) -> None:
        if not reports:
            return
        if any(report.code == TIMED_OUT for report in reports):
            # The rest of its burst must not go without it, and would expire a moment later.
            self._producer.purge_queue()
        fenced = [report.token for report in reports if report.code == TOO_LARGE]
        if fenced:
            # It is known to fit, so the topic is closed (`trunkline.client.growth`), and it was not appended.
            self._take_back(fenced, fenced_at=clock.monotonic())
        self._finish([(report.token, _outcome(report)) for report in reports if report.code != TOO_LARGE])

    def _finish(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Tell the outcomes of what was handed over."""
        with self._lock:
            self._lanes.delivered(
                delivery for delivery, outcome in outcomes if isinstance(outcome, Delivered)
            )
            now = clock.monotonic()
            for delivery, outcome in outcomes:
                if not isinstance(outcome, Delivered):
                    self._lanes.failed(delivery, now)
            self._sent.difference_update([delivery for delivery, _ in outcomes])
        self._tell(outcomes)

    def _reject(self, events: Iterable[Delivery], code: str, why: str) -> None:
        """Tell that these, which the lanes have let go of already, were not sent."""
        self._tell([(event, _rejected(event, code, why)) for event in events])

    def _tell(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        if not outcomes:
            return
        with self._lock:
            for delivery, outcome in outcomes:
                delivery.settle(outcome)
                self._bytes -= delivery.size
            self._open.difference_update([delivery for delivery, _ in outcomes])
            self.changed.notify_all()
            when_room, self._when_room = self._when_room, []
        for call in (*(delivery.call_back for delivery, _ in outcomes), *when_room):
            try:
                call()
            except Exception as error:  # noqa: BLE001 - one caller's mistake is not the next one's outcome
                _log.error("a delivery callback failed", service=self._service, error=repr(error))

    def _expire(self) -> None:
        with self._lock:
            expired = self._lanes.expired(clock.monotonic())
        self._tell([(event, _rejected(event, "_TIMED_OUT", why)) for event, why in expired])

    def _replace_producer(self) -> None:
        self._drain("the producer failed before it was acknowledged")
        self._producer = Producer(self._config)
        self._broken = False

    def _drain(self, why: str) -> None:
        """Take the last reports from the producer; the outcome of everything else it had is unknown."""
        self._settle(self._producer.drain())
        self._finish(
            [
                (event, DeliveryUnknown(f"event {event.event_id}: {why}; {_REPEAT}"))
                for event in sorted(self._sent, key=lambda event: event.at)
            ]
        )

    def _count(self) -> None:
        """The second thread: keep the counts of partitions fresh for topics that have something to send."""
        while True:
            with self._lock:
                due = self._lanes.due(clock.monotonic())
                if not due and not self._closed:
                    self._uncounted.wait(COUNT_SECONDS)
                    due = self._lanes.due(clock.monotonic())
                if self._closed:
                    return
            for topic in due:
                self._count_partitions(topic)

    def _count_partitions(self, topic: str) -> None:
        asked_at = clock.monotonic()
        try:
            found = self._producer.partition_count(topic)
        except ClusterUnavailable as error:
            if (refused := self._producer.refused) is not None:
                self._give_up_waiting(
                    None,
                    "_AUTHENTICATION",
                    f"{self._servers} refuses the credentials of {self._service} ({refused}); correct the "
                    "connection's sasl.* and ssl.* settings",
                )
            elif not self._reached:
                self._give_up_waiting(None, "_ALL_BROKERS_DOWN", str(error), older_than=REACH_SECONDS)
            return
        except KafkaFailed as error:
            self._give_up_waiting(
                topic,
                error.code,
                f"{self._service} may not use {topic} ({error}); grant its principal Write there",
            )
            return
        self._reached = True
        self._producer.refused = None
        if found is None:
            since = self._missing.setdefault(topic, asked_at)
            if asked_at - since >= UNKNOWN_TOPIC_MS / 1000:
                self._give_up_waiting(
                    topic,
                    "UNKNOWN_TOPIC_OR_PART",
                    f"topic {topic} does not exist at {self._servers}; create it (trunkline topics apply)",
                )
            with self._lock:
                self._uncounted.wait(COUNT_SECONDS)
            return
        self._missing.pop(topic, None)
        with self._lock:
            self._lanes.lease(topic, found, asked_at)
            self._work.notify()

    def _give_up_waiting(self, topic: str | None, code: str, why: str, *, older_than: float = 0.0) -> None:
        now = clock.monotonic()
        with self._lock:
            rejected = self._lanes.reject(topic, now, before=now - older_than)
        self._reject(rejected, code, why)


def _rejected(delivery: Delivery, code: str, why: str) -> DeliveryRejected:
    return DeliveryRejected(
        code, f"event {delivery.event_id} to {delivery.lane[0]}: {why} ({code}); {_NOT_SENT}"
    )


def _outcome(report: Report[Delivery]) -> Outcome:
    if report.code is None:
        return Delivered(report.topic, report.partition, report.offset)
    if report.lost:
        return _rejected(report.token, report.code, report.message)
    event = f"event {report.token.event_id} to {report.topic}: {report.message}"
    return DeliveryUnknown(f"{event} ({report.code}); {_REPEAT}")
