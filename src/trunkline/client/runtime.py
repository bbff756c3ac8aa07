"""Runs a service's handler over its topics: every effect once, in order, whatever crashes.

The store holds the position, so that effect and position are one transaction; the commit to Kafka that
follows is a hint that lag tools read, and a refused one costs nothing but a repetition. For services without
a database see `plain`.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from trunkline.client.backoff import Backoff
from trunkline.client.batch import BatchProcessor, Outcome
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX, Breaker
from trunkline.client.config import ConnectionOptions, ConsumerOptions
from trunkline.client.handler import Handler
from trunkline.client.health import HealthLimits
from trunkline.client.kafka import Admin, Consumer, Partition
from trunkline.client.loop import POLL_RECORDS_MAX, POLL_SECONDS, STOP_SECONDS, ConsumerLoop
from trunkline.client.starts import Gate, Start, find_starts
from trunkline.client.store import Store
from trunkline.client.store.position import Lane
from trunkline.client.topic_watch import TOPIC_CHECK_SECONDS
from trunkline.codec.record import Record

__all__ = [
    "POLL_RECORDS_MAX",
    "POLL_SECONDS",
    "STOP_SECONDS",
    "TOPIC_CHECK_SECONDS",
    "ConsumerRuntime",
]


class ConsumerRuntime(ConsumerLoop):
    """One member of a service's consumer group.

    `run` blocks its thread until `stop`, which any thread or signal handler may call. The store must have
    been migrated.
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
        park_tenants: bool = False,
        stop_seconds: float = STOP_SECONDS,
        start_seconds: float | None = None,
        health_limits: HealthLimits | None = None,
        backoff: Backoff | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        tracer_provider: TracerProvider | None = None,
        on_applied: Callable[[], None] | None = None,
    ) -> None:
        """`options.group` is the service's name unless given; metrics go to `registry`, if any.

        Spans go to `tracer_provider`, else to the one that the process has configured by now, else nowhere.

        With 0 for `failures_in_a_row_max` the breaker never opens: every bad event goes to the ledger. With
        `park_tenants` the later events of a tenant follow a failed one there, until it is replayed or
        discarded. `start_seconds` bounds how long a cluster that never answered is waited for; None waits.
        `on_applied` is called after every batch that was committed. Raises `InvalidInput` without a topic.
        """
        chosen = options or ConsumerOptions(group=service)
        processor = BatchProcessor(
            store,
            handler,
            breaker=Breaker(failures_in_a_row_max),
            wall_ms=lambda: int(wall() * 1000),
            park_tenants=park_tenants,
        )
        super().__init__(
            service=service,
            topics=topics,
            work=_StoredWork(store, processor, chosen.group, on_applied),
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


class _StoredWork:
    """Position and effect in one store."""

    def __init__(
        self,
        store: Store,
        processor: BatchProcessor,
        group: str,
        on_applied: Callable[[], None] | None,
    ) -> None:
        self._on_applied = on_applied
        self._store = store
        self._processor = processor
        self._group = group
        self._gate = Gate()

    def starts(
        self,
        consumer: Consumer,  # noqa: ARG002 - Kafka's word about the position does not count
        admin: Admin,
        partitions: Iterable[Partition],
    ) -> dict[Partition, Start]:
        return find_starts(self._store, admin, group=self._group, partitions=partitions, gate=self._gate)

    def process(self, lane: Lane, records: Sequence[Record], *, expected: int | None) -> Outcome:
        outcome = self._processor.process(lane, records, expected=expected)
        if self._on_applied is not None:
            self._on_applied()
        return outcome

    def abandon(self) -> None:
        self._processor.abandon()
