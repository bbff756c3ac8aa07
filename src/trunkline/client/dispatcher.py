"""Takes events to the cluster and brings back what became of them.

Whoever makes a lane ready hands its next event over there and then: the thread that publishes, for a lane in
which nothing is under way, and otherwise the thread that hears of an outcome. Counting partitions may block
for seconds and has a thread of its own.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from trunkline.client.channel import Channel, now
from trunkline.client.config import (
    BATCH_BYTES_MAX,
    PARTITIONS_LEASE_SECONDS,
    QUEUE_KIB_MAX,
    REACH_SECONDS,
    RUN_EVENTS,
    UNKNOWN_TOPIC_MS,
    Config,
    ConnectionOptions,
    ProducerOptions,
    run_config,
    single_config,
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
from trunkline.client.kafka import TOO_LARGE, Report, partition_of
from trunkline.client.lanes import Lanes
from trunkline.client.log import Log
from trunkline.client.publisher_metrics import PublisherMetrics, Standing

COUNT_SECONDS: Final = 0.1
"""How often it is looked whether partitions have to be counted, besides for a topic's first event."""

EXPIRE_SECONDS: Final = 0.5
"""How often it is looked for events that have waited too long."""

HAND_OVER_MAX: Final = 1_000
"""Events handed over at once, so that outcomes are heard in between."""

TURN_EVENTS: Final = 1_000
TURN_SECONDS: Final = 0.005
"""A thread that publishes without a pause keeps the interpreter from the threads that hear of outcomes. After
so many events it gives way, for so many seconds at the most."""

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
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._service = service
        self._servers = connection.bootstrap_servers
        self._connection = connection
        self._options = options
        self._timeout = options.delivery_timeout_ms / 1000
        self._queue_wait_seconds = queue_wait_seconds
        # The lock itself is what the hot path takes: entering it costs half of entering its conditions.
        self._lock = threading.Lock()
        self.changed: Final = threading.Condition(self._lock)
        """Notified after outcomes were settled."""
        self._uncounted = threading.Condition(self._lock)
        self._when_room: list[Callable[[], None]] = []
        self._accepted = 0
        self._bytes = 0
        self._open: set[Delivery] = set()
        self._lanes: Lanes[Delivery] = Lanes(
            place=lambda tenant, count: partition_of(tenant.encode(), count),
            timeout_seconds=self._timeout,
            lease_seconds=PARTITIONS_LEASE_SECONDS,
            run_events=RUN_EVENTS,
            run_bytes=min(BATCH_BYTES_MAX, options.message_bytes_max) * 9 // 10,
        )
        self._metrics = None if registry is None else PublisherMetrics(registry, service, self)
        self._closed = False
        self._reached = False
        self._missing: dict[str, float] = {}
        self._expire_due = 0.0
        self._has_room = False
        """Something was settled since those who wait for room were told last."""
        self._unheard: list[Delivery] = []
        """Settled under the lock, and somebody asked to be told: which is done once the lock is free."""
        self._runs: Channel | None = None
        with self._lock:
            # Its thread begins at once, and what that does first waits for the lock.
            self._singles = self._channel("publisher", single_config(connection, options), self._tick)
        self._counter = threading.Thread(target=self._count, name=f"partitions-{service}", daemon=True)
        self._counter.start()

    def accept(self, delivery: Delivery) -> Delivery:
        """Queue it, waiting for room. Raises `QueueFull` and `PublisherClosed`; it was not queued then."""
        deadline = None
        with self._lock:
            while not self._queued(delivery):
                deadline = deadline or now() + self._queue_wait_seconds
                if not self.changed.wait(deadline - now()):
                    raise QueueFull(
                        f"{delivery.lane[0]}: {len(self._open)} events wait for the cluster, none was "
                        f"acknowledged within {self._queue_wait_seconds:g} s; this one was not sent"
                    )
            self._accepted += 1
            if self._accepted % TURN_EVENTS == 0 and len(self._open) >= TURN_EVENTS:
                self.changed.wait_for(lambda: len(self._open) < TURN_EVENTS // 2, TURN_SECONDS)
        if self._unheard:
            self._tell_unheard()
        return delivery

    def offer(self, delivery: Delivery, when_room: Callable[[], None]) -> bool:
        """Queue it if there is room, otherwise call back once there is. Raises `PublisherClosed`."""
        with self._lock:
            queued = self._queued(delivery)
            if not queued:
                self._when_room.append(when_room)
        if self._unheard:
            self._tell_unheard()
        return queued

    def give_up(self, delivery: Delivery) -> bool:
        """Open the lane of this event if it is held."""
        with self._lock:
            given = self._lanes.give_up(delivery.lane)
            self._hand_over()
        self._tell_unheard()
        return given

    def standing(self) -> Standing:
        """How many events have no outcome yet, and how many lanes wait behind a failure."""
        with self._lock:
            return Standing(len(self._open), self._lanes.held)

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
            unsent = self._lanes.abandon()
            self._uncounted.notify_all()
            self.changed.notify_all()
        for channel in filter(None, (self._singles, self._runs)):
            channel.close()
        # The counting thread may be waiting for an answer of the cluster; it ends when it has one.
        self._reject(unsent, "_PURGE_QUEUE", "the publisher was closed before it was sent")
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()

    # Handing over, under the lock

    def _queued(self, delivery: Delivery) -> bool:
        if self._closed:
            raise PublisherClosed(f"the publisher of {self._service} is closed; the event was not sent")
        if len(self._open) >= self._options.queue_messages_max or self._bytes >= QUEUE_BYTES_MAX:
            return False
        self._open.add(delivery)
        self._bytes += delivery.size
        at = now()
        if not self._singles.broken and self._lanes.start(delivery, at):
            self._send(self._singles, (delivery,), at)
            return True
        if self._lanes.add(delivery):
            self._uncounted.notify()
        self._hand_over()
        return True

    def _hand_over(self) -> None:
        if self._singles.broken or (self._runs is not None and self._runs.broken) or self._closed:
            return
        at = now()
        singles, runs = self._lanes.take(at, events_max=HAND_OVER_MAX)
        self._send(self._singles, singles, at)
        for run in runs:
            if self._runs is None:
                config = run_config(self._connection, self._options)
                self._runs = self._channel("publisher-runs", config, self._give_up_overdue)
            self._send(self._runs, run, at)

    def _send(self, channel: Channel, events: Sequence[Delivery], at: float) -> None:
        for index, delivery in enumerate(events):
            try:
                channel.send(delivery, at)
            except (QueueFull, KafkaFatal) as error:
                channel.broken = isinstance(error, KafkaFatal)
                self._lanes.returned(events[index:])
            except KafkaFailed as error:
                # A lone event fails alone; what follows one in a run fails with it.
                failed = events[index:] if channel is self._runs else [delivery]
                self._resolve(channel, [(item, _rejected(item, error.code, str(error))) for item in failed])
                if channel is self._singles:
                    continue
            else:
                continue
            if channel is self._runs and index:
                # It would not be whole, and must not wait in the producer for the next one's events.
                channel.producer.purge()
            return

    # Outcomes, on a channel's thread

    def _settle(self, channel: Channel, reports: Sequence[Report[Delivery]]) -> None:
        if not reports:
            return
        delivered = [report for report in reports if report.code is None]
        outcomes = [Delivered(report.topic, report.partition, report.offset) for report in delivered]
        deliveries = [report.token for report in delivered]
        with self._lock:
            if not self._closed:
                self._lanes.delivered(deliveries)
            for delivery in deliveries:
                del channel.sent[delivery]
            self._note(zip(deliveries, outcomes, strict=True))
            if len(delivered) < len(reports):
                self._settle_failed(channel, [report for report in reports if report.code is not None])
            self._hand_over()
        if self._unheard or self._when_room:
            self._tell_unheard()

    def _settle_failed(self, channel: Channel, reports: Sequence[Report[Delivery]]) -> None:
        """Under the lock: what was handed over and is not known to be in the log."""
        refused = [report.token for report in reports if report.code == TOO_LARGE]
        self._resolve(
            channel,
            [(report.token, _failure(report)) for report in reports if report.code != TOO_LARGE],
        )
        for delivery in refused:
            channel.sent.pop(delivery, None)
        # They are known to fit, so the topic is closed (`trunkline.client.growth`): they were not appended.
        if self._closed:
            self._note([(item, _rejected(item, TOO_LARGE, "too large")) for item in refused])
        elif refused:
            self._lanes.returned(refused, fenced_at=now())

    def _resolve(self, channel: Channel, failed: Iterable[tuple[Delivery, Outcome]]) -> None:
        """Under the lock: these were handed over, or could not be, and are not known to be in the log."""
        failed = list(failed)
        for delivery, _ in failed:
            channel.sent.pop(delivery, None)
            if not self._closed:
                self._lanes.failed(delivery, now())
        self._note(failed)

    def _lose(self, channel: Channel, why: str) -> None:
        with self._lock:
            lost = [
                (event, DeliveryUnknown(f"event {event.event_id}: {why}; {_REPEAT}"))
                for event in channel.sent
            ]
            self._resolve(channel, lost)
        self._tell_unheard()

    def _reject(self, events: Iterable[Delivery], code: str, why: str) -> None:
        """Tell that these, which the lanes have let go of already, were not sent."""
        with self._lock:
            self._note([(event, _rejected(event, code, why)) for event in events])
        self._tell_unheard()

    def _note(self, settled: Iterable[tuple[Delivery, Outcome]]) -> None:
        """Under the lock: fix outcomes, and remember whom to tell."""
        before = len(self._open)
        if self._metrics is not None:
            settled = list(settled)
            self._metrics.settled(settled, now())
        for delivery, outcome in settled:
            self._bytes -= delivery.size
            self._open.discard(delivery)
            if delivery.settle(outcome):
                self._unheard.append(delivery)
        if len(self._open) < before:
            self._has_room = True
            self.changed.notify_all()

    def _tell_unheard(self) -> None:
        when_room: list[Callable[[], None]] = []
        with self._lock:
            settled, self._unheard = self._unheard, []
            if self._has_room:
                when_room, self._when_room = self._when_room, []
                self._has_room = False
        for call in (*(delivery.call_back for delivery in settled), *when_room):
            try:
                call()
            except Exception as error:  # noqa: BLE001 - one caller's mistake is not the next one's outcome
                _log.error("a delivery callback failed", service=self._service, error=repr(error))

    def _tick(self, _: Channel) -> None:
        """Let go of what has waited too long, and try what had to wait for its time."""
        at = now()
        with self._lock:
            self._hand_over()
            if at < self._expire_due:
                return
            self._expire_due = at + EXPIRE_SECONDS
            self._note((event, _rejected(event, "_TIMED_OUT", why)) for event, why in self._lanes.expired(at))
        self._tell_unheard()

    def _give_up_overdue(self, channel: Channel) -> None:
        if channel.overdue(now(), self._timeout):
            channel.producer.purge()

    def _channel(self, name: str, config: Config, tick: Callable[[Channel], None]) -> Channel:
        return Channel(
            f"{name}-{self._service}",
            config,
            lock=self._lock,
            settle=self._settle,
            lose=self._lose,
            tick=tick,
        )

    # Counting partitions

    def _count(self) -> None:
        """The counting thread: keep the counts fresh for topics that have something to send."""
        while True:
            with self._lock:
                due = self._lanes.due(now())
                if not due and not self._closed:
                    self._uncounted.wait(COUNT_SECONDS)
                    due = self._lanes.due(now())
                if self._closed:
                    return
            for topic in due:
                try:
                    self._count_partitions(topic)
                except Exception as error:  # noqa: BLE001 - without this thread nothing would ever go again
                    _log.error(
                        "cannot count partitions", service=self._service, topic=topic, error=repr(error)
                    )

    def _count_partitions(self, topic: str) -> None:
        asked_at = now()
        try:
            found = self._singles.producer.partition_count(topic)
            if self._runs is not None:
                # It has to know of new partitions, too.
                self._runs.producer.partition_count(topic)
        except ClusterUnavailable as error:
            if (refused := self._singles.producer.refused) is not None:
                self._give_up_waiting(
                    None,
                    "_AUTHENTICATION",
                    f"{self._servers} refuses the credentials of {self._service} ({refused}); correct the "
                    "connection's sasl.* and ssl.* settings",
                )
            elif not self._reached:
                self._give_up_waiting(
                    None, "_ALL_BROKERS_DOWN", f"{self._servers}: {error}", older_than=REACH_SECONDS
                )
            return
        except KafkaFailed as error:
            self._give_up_waiting(
                topic,
                error.code,
                f"{self._service} may not use {topic} ({error}); grant its principal Write there",
            )
            return
        self._reached = True
        self._singles.producer.refused = None
        if found is None:
            since = self._missing.setdefault(topic, asked_at)
            if asked_at - since >= UNKNOWN_TOPIC_MS / 1000:
                self._give_up_waiting(
                    topic,
                    "UNKNOWN_TOPIC_OR_PART",
                    f"topic {topic} does not exist at {self._servers}; create it (trunkline topics create)",
                )
            with self._lock:
                self._uncounted.wait(COUNT_SECONDS)
            return
        self._missing.pop(topic, None)
        with self._lock:
            self._lanes.lease(topic, found, asked_at)
            self._hand_over()
        self._tell_unheard()

    def _give_up_waiting(self, topic: str | None, code: str, why: str, *, older_than: float = 0.0) -> None:
        at = now()
        with self._lock:
            rejected = self._lanes.reject(topic, at, before=at - older_than)
        self._reject(rejected, code, why)


def _rejected(delivery: Delivery, code: str, why: str) -> DeliveryRejected:
    return DeliveryRejected(
        code, f"event {delivery.event_id} to {delivery.lane[0]}: {why} ({code}); {_NOT_SENT}"
    )


def _failure(report: Report[Delivery]) -> Outcome:
    assert report.code is not None
    if report.lost:
        return _rejected(report.token, report.code, report.message)
    event = f"event {report.token.event_id} to {report.topic}: {report.message}"
    return DeliveryUnknown(f"{event} ({report.code}); {_REPEAT}")
