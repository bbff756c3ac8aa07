"""Runs a handler that has no database transaction to share: every event at least once, none lost in silence.

Three steps, in this order: the handler's effect, the failure ledger, the commit to Kafka, which is the
position here. Whatever dies between them is repeated, so an event may take effect again; it is never lost.
What was handled since the last commit that Kafka took is repeated after a crash: a batch, and more while it
refuses commits. The ledger is an SQLite file, or any store: an event that failed is in it before Kafka hears
that it was passed. While the ledger or the handler's world is away, only what is still to be done is tried
again.

A service that can keep its effects in a database should use `runtime.ConsumerRuntime`: one effect, not one
or more.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from trunkline.client.backoff import Backoff
from trunkline.client.batch import (
    Outcome,
    breaker_text,
    decode_all,
    decode_or_refuse,
)
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX, Breaker
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.errors import BreakerOpen, StopOverdue
from trunkline.client.handler import PlainHandler, Refusal
from trunkline.client.health import HealthLimits
from trunkline.client.kafka import Admin, Consumer, Partition
from trunkline.client.loop import STOP_SECONDS, ConsumerLoop
from trunkline.client.refusing import Refused, hand_over
from trunkline.client.starts import Gate, Start, can_be_read, decide
from trunkline.client.store import Store, failures
from trunkline.client.store.position import Lane
from trunkline.codec.record import Record


class PlainConsumer(ConsumerLoop):
    """One member of a service's consumer group, without a transaction.

    `run` blocks its thread until `stop`, which any thread or signal handler may call. The ledger must have
    been migrated.
    """

    def __init__(
        self,
        *,
        service: str,
        topics: Iterable[str],
        handler: PlainHandler,
        ledger: Store,
        connection: ConnectionOptions,
        options: ConsumerOptions | None = None,
        registry: CollectorRegistry | None = None,
        failures_in_a_row_max: int = FAILURES_IN_A_ROW_MAX,
        stop_seconds: float = STOP_SECONDS,
        start_seconds: float | None = None,
        health_limits: HealthLimits | None = None,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        """As `ConsumerRuntime`, with a `ledger` for what failed in place of a store for everything."""
        chosen = options or ConsumerOptions(group=service)
        work = _PlainWork(
            handler,
            ledger,
            group=chosen.group,
            breaker=Breaker(failures_in_a_row_max),
            wall_ms=lambda: int(wall() * 1000),
        )
        super().__init__(
            service=service,
            topics=topics,
            work=work,
            connection=connection,
            options=chosen,
            registry=registry,
            backoff=backoff,
            stop_seconds=stop_seconds,
            start_seconds=start_seconds,
            health_limits=health_limits,
            monotonic=monotonic,
            tracer_provider=tracer_provider,
        )


class _PlainWork:
    """Effect, then ledger; the loop commits."""

    def __init__(
        self,
        handler: PlainHandler,
        ledger: Store,
        *,
        group: str,
        breaker: Breaker,
        wall_ms: Callable[[], int],
    ) -> None:
        self._handler = handler
        self._ledger = ledger
        self._group = group
        self._breaker = breaker
        self._wall_ms = wall_ms
        self._gate = Gate()
        self._abandoned = False
        self._taken: dict[Partition, _Taken] = {}

    def starts(
        self, consumer: Consumer, admin: Admin, partitions: Iterable[Partition]
    ) -> dict[Partition, Start]:
        """Where the group has committed, or else where the log begins."""
        keys = list(partitions)
        for key in keys:
            self._taken.pop(key, None)
        cluster_id = admin.cluster_id()
        topics = admin.describe({topic for topic, _ in keys})
        there = can_be_read(keys, topics)
        positions = partial(
            consumer.committed, topic_ids={name: state.topic_id for name, state in topics.items()}
        )
        held = self._gate.held(admin, topics, partitions=there, positions=positions)
        there = [key for key in there if key not in held]
        bounds = admin.offsets(there)
        committed = positions(there)
        return {
            key: decide(
                Lane(
                    group=self._group,
                    cluster_id=cluster_id,
                    topic=key[0],
                    topic_id=topics[key[0]].topic_id,
                    partition=key[1],
                ),
                committed[key],
                *bounds[key],
            )
            for key in there
        }

    def process(
        self,
        lane: Lane,
        records: Sequence[Record],
        *,
        expected: int | None,  # noqa: ARG002 - nothing can tell a zombie here
    ) -> Outcome:
        key = (lane.topic, lane.partition)
        taken = self._taken.get(key)
        if taken is None or not taken.begins(records):
            taken = self._taken[key] = _Taken()
        self._take(taken, records[len(taken.marks) :])
        if self._abandoned:
            raise StopOverdue(f"{lane.group} had to stop in {lane.topic}/{lane.partition}")
        refused = {record.offset for record, _ in taken.refused}
        successes = [record.offset not in refused for record in records]
        if self._breaker.would_open(successes):
            raise BreakerOpen(breaker_text(self._breaker, lane, taken.refused))
        self._keep(lane, taken.refused)
        del self._taken[key]
        self._breaker.record(successes)
        return Outcome(handled=len(records) - len(refused), duplicates=0, refused=tuple(taken.refused))

    def abandon(self) -> None:
        self._abandoned = True

    def _take(self, taken: "_Taken", records: Sequence[Record]) -> None:
        """Handle records, and note each that is through: `RetryLater` may come in the middle."""
        decoded = decode_all(records)
        if not decoded.events or hand_over(self._handler, decoded.events) is None:
            taken.add(records, decoded.refused)
            return
        for record in records:
            received = decode_or_refuse(record)
            refusal = received if isinstance(received, Refusal) else hand_over(self._handler, [received])
            taken.add([record], [] if refusal is None else [(record, refusal)])

    def _keep(self, lane: Lane, refused: Sequence[Refused]) -> None:
        if not refused:
            return
        now_ms = self._wall_ms()
        with self._ledger.write() as tx:
            for record, refusal in refused:
                failures.add(tx, lane, record, refusal, now_ms=now_ms)


@dataclass(slots=True)
class _Taken:
    """The first records of a batch, handled or refused, while the rest of it or the ledger is waited for.

    They are not handed over again when the batch is tried again. `marks` are their offsets and timestamps.
    """

    marks: list[tuple[int, int]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)

    def add(self, records: Sequence[Record], refused: Sequence[Refused]) -> None:
        self.marks += [(record.offset, record.timestamp_ms) for record in records]
        self.refused += refused

    def begins(self, records: Sequence[Record]) -> bool:
        return self.marks == [(record.offset, record.timestamp_ms) for record in records[: len(self.marks)]]
