"""Takes events to the cluster and brings back what became of them.

Whoever makes a lane ready hands its next event over there and then: the thread that publishes, for a lane in
which nothing is under way, and otherwise the thread that hears of an outcome.

An interrupt (Ctrl-C) may end the code of the main thread between any two steps, also here and under the lock.
What was under way is of unknown outcome then, and its lanes are held, as after a fatal error of a producer.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from trunkline.client.changed import Changed
from trunkline.client.channel import Channel, now
from trunkline.client.config import (
    BATCH_BYTES_MAX,
    PARTITIONS_LEASE_SECONDS,
    QUEUE_KIB_MAX,
    RUN_EVENTS,
    Config,
    ConnectionOptions,
    ProducerOptions,
    run_config,
    single_config,
)
from trunkline.client.counting import Counted, PartitionCounter
from trunkline.client.delivery import Delivered, Delivery, Outcome
from trunkline.client.errors import KafkaFailed, KafkaFatal, PublisherClosed, QueueFull
from trunkline.client.kafka import TOO_LARGE, Report, partition_of
from trunkline.client.lanes import Lanes
from trunkline.client.log import Log
from trunkline.client.outcomes import failure, rejected, unknown
from trunkline.client.publisher_metrics import PublisherMetrics, Standing
from trunkline.client.unresolved import Unresolved

EXPIRE_SECONDS: Final = 0.5
"""How often it is looked for events that have waited too long."""

HAND_OVER_MAX: Final = 1_000
"""Events handed over at once, so that outcomes are heard in between."""

TURN_EVENTS: Final = 1_000
TURN_SECONDS: Final = 0.005
"""A thread that publishes without a pause keeps the interpreter from the threads that hear of outcomes. After
so many events it gives way, for so many seconds at the most."""

QUEUE_BYTES_MAX: Final = QUEUE_KIB_MAX * 1024

_CLOSED_BEFORE_SENT: Final = "the publisher was closed before it was sent"
_CLOSED_BEFORE_KNOWN: Final = "the publisher was closed before its place was certain"
_UNVERIFIED: Final = "it was acknowledged so late that the topic may have grown, and no broker says whether"
_INTERRUPTED: Final = "publishing was interrupted"

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
        self._connection = connection
        self._options = options
        self._timeout = options.delivery_timeout_ms / 1000
        self._queue_wait_seconds = queue_wait_seconds
        self._lock = threading.Lock()
        self.changed: Final = Changed(self._lock)
        """Notified after outcomes were settled."""
        self._accepted = 0
        self._expire_due = 0.0
        self._closed = False
        self._interrupted = False
        """Whether the state below may be half changed."""
        self._lanes = self._new_lanes()
        self._metrics = None if registry is None else PublisherMetrics(registry, service, self)
        self._unresolved = Unresolved(
            events_max=options.queue_messages_max, bytes_max=QUEUE_BYTES_MAX, metrics=self._metrics
        )
        self._runs: Channel | None = None
        with self._lock:
            # Its thread begins at once, and what that does first waits for the lock.
            self._singles = self._channel("publisher", single_config(connection, options), self._tick)
        counted = Counted(
            due=self._due,
            count=self._count,
            refused=lambda: self._singles.producer.trouble.refused,
            lease=self._lease,
            give_up=self._give_up_waiting,
        )
        self._counter = PartitionCounter(counted, service=service, servers=connection.bootstrap_servers)

    def accept(self, delivery: Delivery) -> Delivery:
        """Queue it, waiting for room. Raises `QueueFull` and `PublisherClosed`; it was not queued then."""
        with self._lock:
            queued = self._queued(delivery)
            self._accepted += 1
        if not queued and not self.changed.wait_for(lambda: self._queued(delivery), self._queue_wait_seconds):
            raise QueueFull(self._why_full(delivery))
        if self._accepted % TURN_EVENTS == 0:
            self._give_way()
        if self._unresolved.anyone_to_tell:
            self._tell()
        return delivery

    def offer(self, delivery: Delivery, when_room: Callable[[], None]) -> bool:
        """Queue it if there is room, otherwise call back once there is. Raises `PublisherClosed`."""
        with self._lock:
            queued = self._queued(delivery)
            if not queued:
                self._unresolved.tell_of_room(when_room)
        if self._unresolved.anyone_to_tell:
            self._tell()
        return queued

    def give_up(self, delivery: Delivery) -> bool:
        """Open the lane of this event if it is held."""
        with self._lock:
            self._mend()
            try:
                given = self._lanes.give_up(delivery.lane)
                self._hand_over()
            except BaseException:
                self._interrupted = True
                raise
        self._tell()
        return given

    def standing(self) -> Standing:
        """How many events have no outcome yet, and how many lanes wait behind a failure."""
        with self._lock:
            return Standing(len(self._unresolved.events), self._lanes.held)

    def flush(self, timeout: float) -> int:
        """Wait until every event accepted so far has an outcome; returns how many still have none."""
        unresolved = self._unresolved.events
        with self._lock:
            waiting = set(unresolved)
        self.changed.wait_for(lambda: waiting.isdisjoint(unresolved), timeout)
        with self._lock:
            return len(waiting & unresolved)

    def close(self, timeout: float) -> None:
        """Wait for all outcomes; afterwards everything has one."""
        self.flush(timeout)
        with self._lock:
            self._mend()
            self._closed = True
            unsent = self._lanes.abandon()
            self.changed.notify_all()
        self._counter.close()
        for channel in self._channels():
            channel.close()
        with self._lock:
            self._note([(item, rejected(item, "_PURGE_QUEUE", _CLOSED_BEFORE_SENT)) for item in unsent])
            # Acknowledged, but so late that the partitions had to be counted again first.
            self._note([(item, unknown(item, _CLOSED_BEFORE_KNOWN)) for item in self._unresolved.events])
        self._tell()
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()

    # Handing over, under the lock

    def _queued(self, delivery: Delivery) -> bool:
        if self._closed:
            raise PublisherClosed(f"the publisher of {self._service} is closed; the event was not sent")
        if self._interrupted:
            self._mend()
        try:
            if not self._unresolved.admit(delivery):
                return False
            at = now()
            if not self._singles.broken and self._lanes.start(delivery, at):
                self._send(self._singles, (delivery,), at)
                return True
            if self._lanes.add(delivery):
                self._counter.wake()
            self._hand_over()
        except BaseException:
            self._unresolved.expel(delivery)
            self._interrupted = True
            raise
        return True

    def _why_full(self, delivery: Delivery) -> str:
        waiting, held = self.standing()
        behind = f" ({held} tenants' behind a failed one: publish that again, or give it up)" if held else ""
        return (
            f"{delivery.lane[0]}: {waiting} events wait for the cluster{behind}, none was acknowledged "
            f"within {self._queue_wait_seconds:g} s; this one was not sent"
        )

    def _give_way(self) -> None:
        events = self._unresolved.events
        if len(events) >= TURN_EVENTS:
            self.changed.wait_for(lambda: len(events) < TURN_EVENTS // 2, TURN_SECONDS)

    def _hand_over(self) -> None:
        if self._closed or self._singles.broken or (self._runs is not None and self._runs.broken):
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
                channel.broken = channel.broken or isinstance(error, KafkaFatal)
                self._lanes.returned(events[index:])
            except KafkaFailed as error:
                # A lone event fails alone; what follows one in a run fails with it.
                failed = events[index:] if channel is self._runs else [delivery]
                self._resolve(channel, [(item, rejected(item, error.code, str(error))) for item in failed])
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
        with self._lock:
            self._mend()
            at = now()
            sent = channel.sent
            # What was lost sight of has an outcome already.
            known = [report for report in reports if sent.pop(report.token, None) is not None]
            self._acknowledge(
                [
                    (report.token, Delivered(report.topic, report.partition, report.offset))
                    for report in known
                    if report.code is None
                ],
                at,
            )
            failed = [report for report in known if report.code is not None]
            if failed:
                self._settle_failed(channel, failed)
            self._hand_over()
        if self._unresolved.anyone_to_tell:
            self._tell()

    def _acknowledge(self, acknowledged: list[tuple[Delivery, Delivered]], at: float) -> None:
        """Under the lock: these are in the log."""
        if self._closed:
            told = [pair for pair in acknowledged if self._lanes.in_time(pair[0].lane[0], at)]
        else:
            told = self._lanes.delivered(acknowledged, at)
            if len(told) < len(acknowledged):
                self._counter.wake()
        self._note(told)

    def _settle_failed(self, channel: Channel, reports: Sequence[Report[Delivery]]) -> None:
        """Under the lock: what was handed over and is not known to be in the log."""
        self._resolve(
            channel, [(report.token, failure(report)) for report in reports if report.code != TOO_LARGE]
        )
        refused = [report.token for report in reports if report.code == TOO_LARGE]
        # They are known to fit, so the topic is closed (`trunkline.client.growth`): they were not appended.
        if self._closed:
            self._note([(item, rejected(item, TOO_LARGE, "too large")) for item in refused])
        elif refused:
            for topic in {item.lane[0] for item in refused}:
                self._tell_of_closing(topic)
            self._lanes.returned(refused, fenced_at=now())

    def _tell_of_closing(self, topic: str) -> None:
        if not self._lanes.is_closed(topic):
            _log.warning(
                "the topic is closed to publishers, as a growth closes it; its events wait",
                service=self._service,
                topic=topic,
                seconds=self._timeout,
            )

    def _resolve(self, channel: Channel, failed: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Under the lock: these were handed over, or could not be, and are not known to be in the log."""
        for delivery, _ in failed:
            channel.sent.pop(delivery, None)
            if not self._closed:
                self._lanes.failed(delivery, now())
        self._note(failed)

    def _lose(self, channel: Channel, why: str) -> None:
        with self._lock:
            self._mend()
            self._resolve(channel, [(event, unknown(event, why)) for event in channel.sent])
        self._tell()

    def _note(self, outcomes: Sequence[tuple[Delivery, Outcome]]) -> None:
        """Under the lock: fix outcomes, and wake who waits for them."""
        if self._unresolved.settle(outcomes, now()):
            self.changed.notify_all()

    def _tell(self) -> None:
        with self._lock:
            calls = self._unresolved.to_tell()
        for call in calls:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - one caller's mistake is not the next one's outcome
                _log.error("a delivery callback failed", service=self._service, error=repr(error))

    def _tick(self, _: Channel) -> None:
        """Let go of what has waited too long, and try what had to wait for its time."""
        at = now()
        with self._lock:
            self._mend()
            self._hand_over()
            if at >= self._expire_due:
                self._expire_due = at + EXPIRE_SECONDS
                expired = self._lanes.expired(at)
                self._note([(event, rejected(event, "_TIMED_OUT", why)) for event, why in expired])
                self._note([(event, unknown(event, _UNVERIFIED)) for event in self._lanes.overdue(at)])
        if self._unresolved.anyone_to_tell:
            self._tell()

    def _mend(self) -> None:
        """Under the lock: begin anew if an interrupt may have left a change half done."""
        if not self._interrupted:
            return
        at = now()
        self._lanes = self._new_lanes()
        for channel in self._channels():
            channel.sent.clear()
            channel.broken = True
        lost = sorted(self._unresolved.events, key=lambda delivery: delivery.at)
        for delivery in lost:
            self._lanes.hold(delivery, at)
        self._note([(delivery, unknown(delivery, _INTERRUPTED)) for delivery in lost])
        self._interrupted = False

    # Partitions, on the counting thread

    def _due(self) -> list[str]:
        with self._lock:
            return self._lanes.due(now())

    def _count(self, topic: str) -> int | None:
        found = self._singles.producer.partition_count(topic)
        if self._runs is not None:
            # It has to know of new partitions, too.
            self._runs.producer.partition_count(topic)
        return found

    def _lease(self, topic: str, count: int, asked_at: float) -> None:
        with self._lock:
            self._mend()
            self._singles.producer.trouble.refused = None
            self._note(self._lanes.lease(topic, count, asked_at))
            self._hand_over()
        self._tell()

    def _give_up_waiting(self, topic: str | None, code: str, why: str, waited_seconds: float) -> None:
        at = now()
        with self._lock:
            self._mend()
            let_go = self._lanes.reject(topic, at, before=at - waited_seconds)
            self._note([(event, rejected(event, code, why)) for event in let_go])
        self._tell()

    # Parts

    def _channels(self) -> tuple[Channel, ...]:
        return (self._singles,) if self._runs is None else (self._singles, self._runs)

    def _give_up_overdue(self, channel: Channel) -> None:
        if channel.overdue(now(), self._timeout):
            channel.producer.purge()

    def _new_lanes(self) -> Lanes[Delivery, Delivered]:
        return Lanes(
            place=lambda tenant, count: partition_of(tenant.encode(), count),
            timeout_seconds=self._timeout,
            lease_seconds=PARTITIONS_LEASE_SECONDS,
            run_events=RUN_EVENTS,
            run_bytes=min(BATCH_BYTES_MAX, self._options.message_bytes_max) * 9 // 10,
        )

    def _channel(self, name: str, config: Config, tick: Callable[[Channel], None]) -> Channel:
        return Channel(
            f"{name}-{self._service}",
            config,
            lock=self._lock,
            settle=self._settle,
            lose=self._lose,
            tick=tick,
        )
