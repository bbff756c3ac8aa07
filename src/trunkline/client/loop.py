"""The consumer loop: poll for at most 100 records, apply them partition by partition, commit their offsets.

It is the same with a store (`runtime`) and without one (`plain`). What differs is `Work`: where a partition
starts, and what applying a batch means.

The loop has a thread of its own. `run` waits for it, and when it was told to stop, no longer than the time
that stopping may take: a handler that hangs keeps nobody from ending the process. What such a handler has
done in a store is never committed.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from trunkline.client.arrivals import Arrivals
from trunkline.client.backoff import Backoff
from trunkline.client.batch import Outcome
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config
from trunkline.client.diagnosis import Situation
from trunkline.client.errors import BreakerOpen, KafkaFailed, StopOverdue, StoreUnavailable
from trunkline.client.gaps import Gaps
from trunkline.client.handler import RetryLater
from trunkline.client.health import DEFAULT_LIMITS, Health, HealthLimits
from trunkline.client.kafka import Admin, Consumer, Fetching, Partition
from trunkline.client.log import Log
from trunkline.client.member import Member
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Owned, Phase, Progress
from trunkline.client.reports import Reports
from trunkline.client.starts import Start
from trunkline.client.store.position import Fenced, Lane
from trunkline.client.stuck import Stuck
from trunkline.client.telemetry import spans_of_consumer
from trunkline.client.telling import about, shown
from trunkline.client.topic_watch import TopicWatch
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput, Unavailable

POLL_RECORDS_MAX: Final = 100
SIGNAL_LOOK_SECONDS: Final = 0.5
"""How late a signal may be handled that another thread has received."""

POLL_SECONDS: Final = 0.1
"""The contract: at most 100 records a poll, every 100 ms at the latest."""

STOP_SECONDS: Final = 25.0
"""Below the 30 s that Kubernetes gives a pod to end."""

RECREATED: Final = "its topic was deleted and created again"

_log = Log("trunkline.consumer")


class Work(Protocol):
    """What is done with records."""

    def starts(
        self, consumer: Consumer, admin: Admin, partitions: Iterable[Partition]
    ) -> dict[Partition, Start]:
        """Where partitions start; one that cannot start yet is left out.

        Raises `Unavailable`, `KafkaFailed` or `Fenced`; all of them are asked about again.
        """

    def process(self, lane: Lane, records: Sequence[Record], *, expected: int | None) -> Outcome:
        """Apply records of one partition.

        Raises `Fenced`, `BreakerOpen`, `StoreUnavailable`, `RetryLater` or `StopOverdue`.
        """

    def abandon(self) -> None:
        """Make nothing final any more, not even what is under way. From any thread."""


class ConsumerLoop:
    """One member of a service's consumer group, and what it does; see the subclasses."""

    def __init__(
        self,
        *,
        service: str,
        topics: Iterable[str],
        work: Work,
        connection: ConnectionOptions,
        options: ConsumerOptions | None,
        registry: CollectorRegistry | None,
        backoff: Backoff | None,
        stop_seconds: float,
        start_seconds: float | None,
        health_limits: HealthLimits | None,
        monotonic: Callable[[], float] = time.monotonic,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        chosen = options or ConsumerOptions(group=service)
        self._situation = Situation(connection=connection, options=chosen, topics=frozenset(topics))
        if not self._situation.topics:
            raise InvalidInput(f"{service} consumes no topic; give it at least one")
        self._group = chosen.group
        self._work = work
        self._metrics = ConsumerMetrics(registry or CollectorRegistry(), chosen.group)
        self._spans = spans_of_consumer(tracer_provider, group=chosen.group, client_id=connection.client_id)
        self._progress = Progress(backoff or Backoff())
        self._stop_seconds = stop_seconds
        self._start_seconds = start_seconds
        self._monotonic = monotonic
        limits = health_limits or DEFAULT_LIMITS
        self._health = Health(limits, now=monotonic())
        self._stuck = Stuck(limits.fetching)
        self._topics = TopicWatch(self._situation, self._complain)
        self._reports = Reports(self._group, self._metrics)
        self._arrivals = Arrivals(self._progress, health=self._health, reports=self._reports)
        self._gaps = Gaps()
        self._stopping = False
        self._ended = False
        self._error: BaseException | None = None
        # A queue, because a signal handler may call `stop` at any point of this very thread.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._started = threading.Event()

    @property
    def assignment(self) -> frozenset[Partition]:
        """The partitions that this member owns."""
        return self._progress.owned

    def not_live(self) -> list[str]:
        """Why this consumer should be restarted; empty while it is alive. From any thread."""
        return self._health.not_live(self._monotonic())

    def not_ready(self) -> list[str]:
        """Why this consumer does not consume; empty while it does. From any thread."""
        return self._health.not_ready(self._monotonic())

    def stop(self) -> None:
        """Make `run` finish the batch in hand, commit, leave the group and return. From anywhere."""
        self._stopping = True
        self._health.stopping()
        self._wake.put(None)

    def wait_started(self, timeout: float) -> bool:
        """Wait until this member has an assignment and reads it; False when the time-out came first."""
        return self._started.wait(timeout)

    def run(self) -> None:
        """Consume until `stop`. The handler is called on one other thread.

        Raises `BreakerOpen` when too many events failed in a row, `KafkaFailed` when the cluster refuses this
        consumer for good, `ClusterUnavailable` when it did not answer in the time to start, and `StopOverdue`
        when a batch or a commit was still under way at the end of the time to stop; it will not become final
        then. In every other case what was applied is committed, in the store and as far as possible in
        Kafka, and the group is left.
        """
        thread = threading.Thread(target=self._main, name=f"consumer {self._group}", daemon=True)
        thread.start()
        try:
            self._wait_wake()
        except BaseException:
            self.stop()
            self._wait_end()
            raise
        self._wait_end()
        if not self._ended:
            self._work.abandon()
            self._member_abandon()
            raise StopOverdue(
                f"{self._group} did not stop within {self._stop_seconds:g} s; the batch in hand was given up "
                "and will be processed again. Look for a handler that hangs, or allow more time to stop"
            )
        thread.join()
        if self._error is not None:
            raise self._error

    # Rebalance, called from inside poll and close

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`."""
        self._progress.assigned(partitions)
        self._member.joined()
        self._health.assigned(len(self._progress.owned))
        if not self._progress.owned:
            self._started.set()
        _log.info("partitions assigned", group=self._group, partitions=shown(partitions))

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`."""
        offsets = self._progress.revoked(partitions)
        self._health.assigned(len(self._progress.owned))
        if offsets:
            self._member.commit_now(offsets)
        _log.info("partitions revoked", group=self._group, partitions=shown(partitions))

    def lost(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`; without partitions, all of them."""
        gone = partitions or tuple(self._progress.owned)
        self._progress.lost(gone)
        self._health.assigned(len(self._progress.owned))
        _log.warning("partitions lost", group=self._group, partitions=shown(gone))

    # The loop

    def _main(self) -> None:
        why = "it was stopped"
        try:
            self._consume()
        except BaseException as error:  # noqa: BLE001 - raised by `run`, whatever it is
            self._error = error
            why = str(error) or type(error).__name__
        finally:
            self._health.ended(why)
            self._ended = True
            self._wake.put(None)

    def _consume(self) -> None:
        self._admin = Admin(admin_config(self._situation.connection))
        self._member = Member(
            self._situation,
            rebalance=self,
            progress=self._progress,
            metrics=self._metrics,
            health=self._health,
            start_seconds=self._start_seconds,
            monotonic=self._monotonic,
            spans=self._spans,
            on_fetching=self._fetching,
        )
        try:
            while not self._stopping:
                self._turn()
        except BreakerOpen:
            self._metrics.breaker_open.set(1)
            raise
        finally:
            # Calls `revoked` with what is left, which commits it and waits for the answer.
            self._member.close()

    def _turn(self) -> None:
        self._health.turned(self._monotonic())
        if not self._member.waits_no_more(POLL_SECONDS):
            return
        records = self._member.poll(POLL_RECORDS_MAX, POLL_SECONDS)
        now = self._monotonic()
        # Before partitions start: what was read of one that had not started may lie behind its start.
        self._apply_all(self._of_their_topics(_by_partition(records), now))
        if self._member.coordinated:
            for key in self._topics.look(self._admin, self._progress.reading, now):
                self._restart(key, RECREATED)
        if self._arrivals.start(self._start, now):
            self._started.set()
        self._apply_all({key: self._held(key) for key in self._progress.due(Phase.HOLDING, now)})
        holding = self._progress.count(Phase.HOLDING)
        self._metrics.paused.set(holding)
        self._health.holding(holding, now)
        self._member.commit_pending()
        for key, expired in self._gaps.expired(self._admin.offsets, now).items():
            self._reports.expired(key, expired)

    def _start(self, partitions: Sequence[Partition]) -> Mapping[Partition, Start]:
        starts = self._work.starts(self._member.consumer, self._admin, partitions)
        self._member.consumer.start_at(
            {key: start.offset for key, start in starts.items()},
            topic_ids={key: start.lane.topic_id for key, start in starts.items()},
        )
        return starts

    def _of_their_topics(
        self, batches: dict[Partition, list[Record]], now: float
    ) -> dict[Partition, list[Record]]:
        """Those of these batches, just polled, that are of the topics that were started.

        The others are read again from where their topic starts now; a batch that is held stays, for it was
        let through here.
        """
        polled = {
            key: (owned.lane, records[0].offset)
            for key, records in batches.items()
            if (owned := self._progress.get(key)) is not None and owned.lane is not None
        }
        try:
            strange, why = (
                self._topics.strange(self._admin, polled, now),
                "its topic was deleted and created again",
            )
        except (Unavailable, KafkaFailed) as error:
            strange, why = frozenset(polled), f"nobody can say whether its topic was created anew ({error})"
        for key in strange:
            if (owned := self._progress.get(key)) is not None and owned.phase is Phase.READING:
                self._restart(key, why)
        return {key: records for key, records in batches.items() if key not in strange}

    def _apply_all(self, batches: dict[Partition, list[Record]]) -> None:
        """Apply batches; once the store is away, the rest of them is held without trying."""
        unavailable: StoreUnavailable | None = None
        for key, records in batches.items():
            owned = self._progress.get(key)
            if owned is None or owned.phase is Phase.ARRIVING:
                continue  # Another member's, or to be read again from where it starts.
            if owned.phase is Phase.HOLDING and records is not owned.held:
                owned.held.extend(records)  # What the library had queued when the partition was paused.
                continue
            if unavailable is not None:
                self._hold(key, records, unavailable)
                continue
            try:
                self._apply(key, owned, records)
            except StoreUnavailable as error:
                unavailable = error
                self._hold(key, records, error)
            except RetryLater as error:
                self._hold(key, records, error)

    def _apply(self, key: Partition, owned: Owned, records: list[Record]) -> None:
        assert owned.lane is not None, "a partition that is read has been started"
        if records[0].offset < owned.next:
            self._restart(key, "the log went back behind the position")
            return
        try:
            outcome = self._process(owned.lane, records, owned.expected)
        except Fenced:
            self._metrics.fenced()
            self._restart(key, "another member has moved the position")
            return
        if owned.phase is Phase.HOLDING:
            self._member.consumer.resume([key])
        self._gaps.passed(key, owned.next, records)
        self._progress.done(key, records[-1].offset + 1)
        self._metrics.batch(key[0], records=len(records), duplicates=outcome.duplicates)

    def _process(self, lane: Lane, records: Sequence[Record], expected: int | None) -> Outcome:
        if self._spans is None:
            return self._attempt(lane, records, expected)
        with self._spans.processing(records) as span:
            outcome = self._attempt(lane, records, expected)
            span.came_to(duplicates=outcome.duplicates, refused=outcome.refused)
            return outcome

    def _attempt(self, lane: Lane, records: Sequence[Record], expected: int | None) -> Outcome:
        with self._metrics.handler_seconds.time(), self._metrics.in_progress.track_inprogress():
            outcome = self._work.process(lane, records, expected=expected)
        self._reports.refused(lane.topic, outcome)
        return outcome

    def _fetching(self, states: Mapping[Partition, Fetching]) -> None:
        reading = {key: owned.next for key, owned in self._progress.reading()}
        self._complain("partitions cannot be read", self._stuck.look(reading, states, self._monotonic()))

    def _complain(self, about: str, text: str | None) -> None:
        if self._health.complain(about, text) and text is not None:
            _log.error(about, group=self._group, error=text)

    def _restart(self, key: Partition, why: str) -> None:
        self._member.consumer.pause([key])
        wait = self._progress.start_again(key, self._monotonic())
        _log.warning("partition starts again", topic=key[0], partition=key[1], why=why, wait=wait)

    def _hold(self, key: Partition, records: list[Record], error: Exception) -> None:
        self._member.consumer.pause([key])
        wait = self._progress.hold(key, records, self._monotonic())
        _log.warning(
            "partition paused",
            **about(records[0]),
            records=len(records),
            error=str(error),
            wait=wait,
        )

    def _held(self, key: Partition) -> list[Record]:
        owned = self._progress.get(key)
        return [] if owned is None else owned.held

    def _member_abandon(self) -> None:
        member = getattr(self, "_member", None)
        if member is not None:
            member.abandon()

    def _wait_wake(self) -> None:
        """Wait until something wakes `run`, and come back to the interpreter now and then.

        A signal is handled by this thread, between its bytecodes. One that another thread has received does
        not interrupt the wait, and so would not be handled before it ends.
        """
        while True:
            try:
                self._wake.get(timeout=SIGNAL_LOOK_SECONDS)
            except Empty:
                continue
            return

    def _wait_end(self) -> None:
        deadline = time.monotonic() + self._stop_seconds
        while not self._ended:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            try:
                self._wake.get(timeout=left)
            except Empty:
                return


def _by_partition(records: Iterable[Record]) -> dict[Partition, list[Record]]:
    batches: dict[Partition, list[Record]] = {}
    for record in records:
        batches.setdefault((record.topic, record.partition), []).append(record)
    return batches
