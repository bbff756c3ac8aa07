"""Runs a service's handler over its topics: every effect once, in order, whatever crashes.

The loop: poll for at most 100 records, apply them partition by partition in one store transaction each, then
commit their offsets to Kafka synchronously. The store holds the position, so the Kafka commit is a hint that
lag tools read; a refused one costs nothing but a repetition.
"""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry

from trunkline.client.backoff import Backoff
from trunkline.client.batch import BatchProcessor, Outcome
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX, Breaker
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config, consumer_config
from trunkline.client.errors import BreakerOpen, CommitRefused, KafkaFailed, StoreUnavailable
from trunkline.client.handler import Handler, RetryLater
from trunkline.client.kafka import Admin, Consumer, Partition
from trunkline.client.log import Log
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Owned, Phase, Progress
from trunkline.client.starts import Start, find_starts
from trunkline.client.store import Store
from trunkline.client.store.position import Fenced
from trunkline.client.trouble import Trouble
from trunkline.codec.record import Record
from trunkline.errors import InvalidInput, Unavailable

POLL_RECORDS_MAX: Final = 100
POLL_SECONDS: Final = 0.1
"""The contract: at most 100 records a poll, every 100 ms at the latest."""

TOPIC_CHECK_SECONDS: Final = 10.0
"""How often to look whether a topic is still the one that was started: the library reads on in another of the
same name, at the old offset."""

COMMIT_BACKOFF: Final = Backoff(first=1.0)
"""A commit without an answer has kept the loop from polling for a whole session time-out; let it catch up."""

_log = Log("trunkline.consumer")


class ConsumerRuntime:
    """One member of a service's consumer group.

    `run` blocks its thread until `stop`, which any thread or signal handler may call. The store must have
    been migrated. The handler is called on the thread of `run` only.
    """

    def __init__(
        self,
        *,
        service: str,
        topics: Iterable[str],
        handler: Handler,
        store: Store,
        connection: ConnectionOptions,
        options: ConsumerOptions | None = None,
        registry: CollectorRegistry | None = None,
        failures_in_a_row_max: int = FAILURES_IN_A_ROW_MAX,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`options.group` is the service's name unless given; metrics go to `registry`, if any.

        With 0 for `failures_in_a_row_max` the breaker never opens: every bad event goes to the ledger.
        Raises `InvalidInput` without a topic.
        """
        self._topics = sorted(set(topics))
        if not self._topics:
            raise InvalidInput(f"{service} consumes no topic; give it at least one")
        self._options = options or ConsumerOptions(group=service)
        self._connection = connection
        self._store = store
        self._metrics = ConsumerMetrics(registry or CollectorRegistry(), self._options.group)
        self._breaker = Breaker(failures_in_a_row_max)
        self._processor = BatchProcessor(
            store, handler, breaker=self._breaker, wall_ms=lambda: int(wall() * 1000)
        )
        self._backoff = backoff or Backoff()
        self._progress = Progress(self._backoff)
        self._monotonic = monotonic
        self._trouble = Trouble()
        self._commit_failures = 0
        self._commit_due = 0.0
        self._topic_check_due = 0.0
        self._stopping = threading.Event()
        self._started = threading.Event()

    @property
    def assignment(self) -> frozenset[Partition]:
        """The partitions that this member owns."""
        return self._progress.owned

    def stop(self) -> None:
        """Make `run` finish the batch in hand, commit, leave the group and return."""
        self._stopping.set()

    def wait_started(self, timeout: float) -> bool:
        """Wait until this member has an assignment and reads it; False when the time-out came first."""
        return self._started.wait(timeout)

    def run(self) -> None:
        """Consume until `stop`.

        Raises `BreakerOpen` when too many events failed in a row, and `KafkaFailed` when the cluster refuses
        this consumer for good. What was applied is committed, in the store and as far as possible in Kafka,
        and the group is left, in every case.
        """
        self._admin = Admin(admin_config(self._connection))
        self._consumer = Consumer(
            consumer_config(self._connection, self._options), on_trouble=self._tell_of_trouble
        )
        try:
            self._consumer.subscribe(self._topics, self)
            while not self._stopping.is_set():
                self._turn()
        except BreakerOpen:
            self._metrics.breaker_open.set(1)
            raise
        finally:
            # Calls `revoked` with what is left, which commits it.
            self._consumer.close()

    # Rebalance, called from inside poll and close

    def assigned(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`."""
        self._progress.assigned(partitions)
        if not partitions:
            self._started.set()
        _log.info("partitions assigned", group=self._options.group, partitions=_shown(partitions))

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`."""
        offsets = self._progress.revoked(partitions)
        # A commit that nobody answers takes a whole session time-out, and the store has the positions anyway.
        if offsets and not self._trouble:
            self._commit(offsets)
        _log.info("partitions revoked", group=self._options.group, partitions=_shown(partitions))

    def lost(self, partitions: Sequence[Partition]) -> None:
        """See `Rebalance`."""
        self._progress.lost(partitions)
        _log.warning("partitions lost", group=self._options.group, partitions=_shown(partitions))

    # The loop

    def _turn(self) -> None:
        records = self._consumer.poll(POLL_RECORDS_MAX, POLL_SECONDS)
        now = self._monotonic()
        # Before partitions start: what was read of one that had not started may lie behind its start.
        self._work(_by_partition(records))
        self._check_topics(now)
        self._start_arrivals(now)
        self._work({key: self._held(key) for key in self._progress.due(Phase.HOLDING, now)})
        self._metrics.paused.set(self._progress.count(Phase.HOLDING))
        pending = self._progress.pending
        if pending and self._monotonic() >= self._commit_due:
            self._commit(pending)

    def _start_arrivals(self, now: float) -> None:
        due = self._progress.due(Phase.ARRIVING, now)
        if not due:
            return
        try:
            starts = find_starts(self._store, self._admin, group=self._options.group, partitions=due)
            self._consumer.start_at({key: start.offset for key, start in starts.items()})
        except (Unavailable, KafkaFailed, Fenced) as error:
            wait = max([self._progress.start_again(key, now) for key in due])
            _log.warning("cannot start partitions yet", partitions=_shown(due), error=str(error), wait=wait)
            return
        for key in due:
            if (start := starts.get(key)) is None:
                self._progress.start_again(key, now)
            else:
                self._progress.started(key, start.lane, start.expected)
                self._tell_of(start)
        self._started.set()

    def _check_topics(self, now: float) -> None:
        """Start again what is read from a topic that was deleted and created anew."""
        if now < self._topic_check_due or self._trouble:
            return
        self._topic_check_due = now + TOPIC_CHECK_SECONDS
        started = {key: owned.lane for key, owned in self._progress.reading() if owned.lane is not None}
        try:
            there = self._admin.describe({topic for topic, _ in started})
        except (Unavailable, KafkaFailed):
            return  # Then it is looked at the next time.
        for key, lane in started.items():
            if key[0] in there and there[key[0]].topic_id != lane.topic_id:
                self._restart(key, "its topic was deleted and created again")

    def _work(self, batches: dict[Partition, list[Record]]) -> None:
        """Apply batches; once the store is away, the rest of them is held without trying."""
        unavailable: StoreUnavailable | None = None
        for key, records in batches.items():
            owned = self._progress.get(key)
            if owned is None or owned.phase is Phase.ARRIVING:
                continue  # Another member's, or to be read again from the store's position.
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
        if owned.expected is not None and records[0].offset < owned.expected:
            self._restart(key, "the log went back behind the position")
            return
        try:
            with self._metrics.handler_seconds.time():
                outcome = self._processor.process(owned.lane, records, expected=owned.expected)
        except Fenced:
            self._metrics.fenced()
            self._restart(key, "another member has moved the position")
            return
        if owned.phase is Phase.HOLDING:
            self._consumer.resume([key])
        self._progress.done(key, records[-1].offset + 1)
        self._count(key, records, outcome)

    def _restart(self, key: Partition, why: str) -> None:
        self._consumer.pause([key])
        wait = self._progress.start_again(key, self._monotonic())
        _log.warning("partition starts again", topic=key[0], partition=key[1], why=why, wait=wait)

    def _hold(self, key: Partition, records: list[Record], error: Exception) -> None:
        self._consumer.pause([key])
        wait = self._progress.hold(key, records, self._monotonic())
        _log.warning(
            "partition paused",
            topic=key[0],
            partition=key[1],
            records=len(records),
            error=str(error),
            wait=wait,
        )

    def _held(self, key: Partition) -> list[Record]:
        owned = self._progress.get(key)
        return [] if owned is None else owned.held

    def _commit(self, offsets: dict[Partition, int]) -> None:
        try:
            self._consumer.commit(offsets)
        except CommitRefused as refused:
            self._metrics.commit_failed(refused.reason)
            self._commit_failures += 1
            wait = 0.0 if refused.rebalance else COMMIT_BACKOFF.wait(self._commit_failures)
            self._commit_due = self._monotonic() + wait
            _log.info("offset commit refused", group=self._options.group, reason=refused.reason, wait=wait)
        else:
            self._commit_failures = 0
            self._progress.committed(offsets)
            self._answered()

    def _count(self, key: Partition, records: list[Record], outcome: Outcome) -> None:
        self._metrics.batch(key[0], records=len(records), duplicates=outcome.duplicates)
        for record, refusal in outcome.refused:
            self._metrics.failure(key[0], refusal.reason)
            _log.error(
                "event failed",
                group=self._options.group,
                tenant=_header(record, "ce_tenantid"),
                event_id=_header(record, "ce_id"),
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=refusal.reason,
                error=refusal.detail,
            )

    def _tell_of_trouble(self, code: str, text: str) -> None:
        if self._trouble.met(code, self._monotonic()):
            _log.warning("cluster trouble", group=self._options.group, error=text)

    def _answered(self) -> None:
        if passed := self._trouble.answered(self._monotonic()):
            _log.warning(
                "cluster trouble is over",
                group=self._options.group,
                seconds=round(passed.seconds, 1),
                times=passed.times,
            )

    def _tell_of(self, start: Start) -> None:
        lane = start.lane
        if start.expired:
            self._metrics.expired(lane.topic, start.expired)
            _log.error(
                "retention deleted records before they were consumed",
                topic=lane.topic,
                partition=lane.partition,
                records=start.expired,
            )
        if start.rewound_from is not None:
            _log.error(
                "the log ends before the position; reading it again from its beginning",
                topic=lane.topic,
                partition=lane.partition,
                position=start.rewound_from,
            )


def _by_partition(records: Iterable[Record]) -> dict[Partition, list[Record]]:
    batches: dict[Partition, list[Record]] = {}
    for record in records:
        batches.setdefault((record.topic, record.partition), []).append(record)
    return batches


def _shown(partitions: Iterable[Partition]) -> list[str]:
    return [f"{topic}/{partition}" for topic, partition in partitions]


def _header(record: Record, name: str) -> str | None:
    return next(
        (value.decode(errors="replace") for key, value in record.headers if key == name and value), None
    )
