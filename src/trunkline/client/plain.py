"""Runs a handler that has no database transaction to share: every event at least once, none lost in silence.

Three steps, in this order: the handler's effect, the failure ledger, the commit to Kafka, which is the
position here. Whatever dies between them is repeated, so an event may take effect again; it is never lost.
What was handled since the last commit that Kafka took is repeated after a crash: a batch, and more while it
refuses commits. The ledger is an SQLite file, or any store: an event that failed is in it before Kafka hears
that it was passed.

A service that can keep its effects in a database should use `runtime.ConsumerRuntime`: one effect, not one
or more.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from trunkline.client.backoff import Backoff
from trunkline.client.batch import (
    Outcome,
    breaker_text,
    decode_all,
    successes_of,
    without,
)
from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX, Breaker
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.errors import BreakerOpen, StopOverdue
from trunkline.client.handler import PlainHandler, Received, Refusal, RetryLater
from trunkline.client.health import HealthLimits
from trunkline.client.kafka import Admin, Consumer, Partition
from trunkline.client.loop import STOP_SECONDS, ConsumerLoop
from trunkline.client.refusing import Refused
from trunkline.client.starts import Gate, Start, decide
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

    def starts(
        self, consumer: Consumer, admin: Admin, partitions: Iterable[Partition]
    ) -> dict[Partition, Start]:
        """Where the group has committed, or else where the log begins."""
        keys = list(partitions)
        cluster_id = admin.cluster_id()
        topics = admin.describe({topic for topic, _ in keys})
        there = [key for key in keys if key[0] in topics]
        held = self._gate.held(admin, topics, partitions=there, positions=consumer.committed)
        there = [key for key in there if key not in held]
        bounds = admin.offsets(there)
        committed = consumer.committed(there)
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
        decoded = decode_all(records)
        refused = [*decoded.refused, *self._handle(decoded.events)]
        handled = without(decoded.events, refused)
        if self._abandoned:
            raise StopOverdue(f"{lane.group} had to stop in {lane.topic}/{lane.partition}")
        refused.sort(key=lambda item: item[0].offset)
        successes = successes_of(handled, refused)
        if self._breaker.would_open(successes):
            raise BreakerOpen(breaker_text(self._breaker, lane, refused))
        if refused:
            now_ms = self._wall_ms()
            with self._ledger.write() as tx:
                for record, refusal in refused:
                    failures.add(tx, lane, record, refusal, now_ms=now_ms)
        self._breaker.record(successes)
        return Outcome(handled=len(handled), duplicates=0, refused=tuple(refused))

    def abandon(self) -> None:
        self._abandoned = True

    def _handle(self, events: list[Received]) -> list[Refused]:
        if not events or self._attempt(events) is None:
            return []
        failed: list[Refused] = []
        for received in events:
            refusal = self._attempt([received])
            if refusal is not None:
                failed.append((received.record, refusal))
        return failed

    def _attempt(self, events: list[Received]) -> Refusal | None:
        """Hand events over; why they failed, or None. Raises `RetryLater` when they are not at fault."""
        try:
            self._handler.handle(events)
        except RetryLater:
            raise
        except Exception as error:
            if is_world_at_fault(error):
                raise RetryLater(one_line(error)) from error
            return Refusal(failures.HANDLER, one_line(error))
        return None
