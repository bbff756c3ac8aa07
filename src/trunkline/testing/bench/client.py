"""Trunkline's publisher and consumer runtime beside raw librdkafka loops, on the same embedded broker."""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from sqlalchemy import Connection

from trunkline.catalogue.events.query import TOPIC
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.async_publisher import AsyncPublisher
from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    consumer_config,
    producer_config,
)
from trunkline.client.delivery import Delivery
from trunkline.client.handler import Received, Refusal
from trunkline.client.publisher import Publisher
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store.engine import open_store
from trunkline.client.store.migrate import migrate
from trunkline.codec import Encoded, Record, encode
from trunkline.testing.bench import micro, raw
from trunkline.testing.bench.engine import create_topic
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.processes import BrokerProcess

PART: Final = "client"
RAW: Final = "raw librdkafka loops"
PUBLISHER: Final = "query-engine"
CONSUMER: Final = "audit"
RAW_TOPIC: Final = "bench.raw.events"
BY_HAND: Final = "the same by hand"
TENANTS: Final = 50
TASKS: Final = 300
"""How many tasks publish at once, each of a tenant of its own, and wait for each of their events."""
AWAITED_EVENTS_PER_SECOND: Final = 40_000.0
AWAITED_MEDIAN_MS: Final = 10.0
CONSUME_EVENTS_MAX: Final = 20_000
CONSUME_DEADLINE_S: Final = 60.0

NOTES: Final = (
    "client: the raw producer sends the same records, encoded beforehand, with the same configuration; "
    "by hand, each event gets its id, time, headers and JSON in the loop",
    f"client: awaited are {TASKS} tasks, each with a tenant of its own, that wait for each of their events",
    "client: the raw consumer polls and commits as the contract says but has no store; the runtime decodes, "
    "deduplicates and keeps its position in SQLite, with a handler that does nothing",
)

Say = Callable[[str], None]


def measure(directory: Path, *, seconds: float, rounds: int, say: Say) -> list[Figure]:
    """Events a second of publisher and consumer runtime; loads alternate with those of the raw peer."""
    published: list[float] = []
    produced: list[float] = []
    handmade: list[float] = []
    awaited: list[_Awaited] = []
    applied: list[float] = []
    read: list[float] = []
    with BrokerProcess(directory / "broker") as broker:
        for topic in (TOPIC, RAW_TOPIC):
            create_topic(broker.address, topic)
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        encoded = _encoded_events()
        config = producer_config(connection, ProducerOptions())
        for number in range(rounds):
            say(f"client, round {number + 1} of {rounds}")
            published.append(_publish(connection, seconds=seconds))
            ceiling = raw.produce_encoded(config, RAW_TOPIC, events=encoded, seconds=seconds)
            produced.append(ceiling.records_per_second)
            by_hand = raw.produce_by_hand(
                config, RAW_TOPIC, data=micro.EVENT, tenants=_names(TENANTS), seconds=seconds
            )
            handmade.append(by_hand.records_per_second)
            awaited.append(asyncio.run(_publish_awaited(connection, seconds=seconds)))
            events = min(CONSUME_EVENTS_MAX, int(published[0] * seconds))
            applied.append(_apply(connection, directory / f"store-{number}.db", number, events=events))
            group = ConsumerOptions(group=f"bench-raw-{number}")
            loop = raw.consume_group(consumer_config(connection, group), TOPIC, records=events)
            read.append(loop.records_per_second)
    return [
        figure(
            PART, "publish", samples=published, unit="events/s", better="more", reference=produced, peer=RAW
        ),
        figure(
            PART,
            "publish, beside by hand",
            samples=published,
            unit="events/s",
            better="more",
            reference=handmade,
            peer=BY_HAND,
        ),
        figure(
            PART,
            "publish, awaited",
            samples=[load.events_per_second for load in awaited],
            unit="events/s",
            better="more",
            target=AWAITED_EVENTS_PER_SECOND,
            reference=handmade,
            peer=BY_HAND,
        ),
        figure(
            PART,
            "publish, awaited, median",
            samples=[load.median_ms for load in awaited],
            unit="ms",
            better="less",
            target=AWAITED_MEDIAN_MS,
        ),
        figure(
            PART,
            "consume and apply",
            samples=applied,
            unit="events/s",
            better="more",
            reference=read,
            peer=RAW,
        ),
    ]


def _publish(connection: ConnectionOptions, *, seconds: float) -> float:
    """Events a second, from validation to acknowledgement."""
    with Publisher(service=PUBLISHER, connection=connection, catalogue=load_catalogue(None)) as publisher:
        publisher.publish(micro.EVENT, tenant="warm-up").result(raw.SETTLE_SECONDS)
        deliveries: list[Delivery] = []
        tenants = _names(TENANTS)
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            deliveries += [publisher.publish(micro.EVENT, tenant=tenant) for tenant in tenants]
        publisher.flush(raw.SETTLE_SECONDS)
        elapsed = time.perf_counter() - started
        for delivery in deliveries:
            delivery.result(0)
    return len(deliveries) / elapsed


class _Awaited(NamedTuple):
    events_per_second: float
    median_ms: float


async def _publish_awaited(connection: ConnectionOptions, *, seconds: float) -> _Awaited:
    """Many tasks at once; each publishes its next event when the one before is acknowledged."""
    publisher = Publisher(service=PUBLISHER, connection=connection, catalogue=load_catalogue(None))
    async with AsyncPublisher(publisher) as events:
        await asyncio.gather(*(events.publish(micro.EVENT, tenant=tenant) for tenant in _names(TASKS)))
        waits: list[float] = []
        started = time.perf_counter()

        async def publish(tenant: str) -> None:
            at = time.perf_counter()
            while at - started < seconds:
                await events.publish(micro.EVENT, tenant=tenant)
                before, at = at, time.perf_counter()
                waits.append(at - before)

        await asyncio.gather(*map(publish, _names(TASKS)))
        elapsed = time.perf_counter() - started
    return _Awaited(len(waits) / elapsed, statistics.median(waits) * 1e3)


def _names(count: int) -> list[str]:
    return [f"tenant-{number}" for number in range(count)]


class _Counter:
    """A handler without an effect; says when `events` events have come."""

    def __init__(self, events: int) -> None:
        self.done = threading.Event()
        self.first = self.last = 0.0
        self.seen = 0
        self._events = events

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        assert tx.in_transaction()
        self.first = self.first or time.perf_counter()
        self.seen += len(events)
        if self.seen >= self._events:
            self.last = self.last or time.perf_counter()
            self.done.set()

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - Handler's
        raise raw.LoadFailed(f"{record.topic}/{record.partition}@{record.offset}: {refusal.detail}")


def _apply(connection: ConnectionOptions, store_file: Path, number: int, *, events: int) -> float:
    """Events a second through the consumer runtime."""
    store = open_store(f"sqlite:///{store_file}")
    try:
        migrate(store)
        counter = _Counter(events)
        runtime = ConsumerRuntime(
            service=CONSUMER,
            topics=[TOPIC],
            handler=counter,
            store=store,
            connection=connection,
            options=ConsumerOptions(group=f"bench-runtime-{number}"),
        )
        with _running(runtime):
            if not counter.done.wait(CONSUME_DEADLINE_S):
                raise raw.LoadFailed(f"{counter.seen} of {events} events were applied in time")
        return counter.seen / (counter.last - counter.first)
    finally:
        store.close()


@contextmanager
def _running(runtime: ConsumerRuntime) -> Iterator[None]:
    thread = threading.Thread(target=runtime.run, name="bench-runtime")
    thread.start()
    try:
        yield
    finally:
        runtime.stop()
        thread.join()


def _encoded_events() -> list[Encoded]:
    event = micro.envelope()
    return [encode(msgspec.structs.replace(event, tenantid=TenantId(tenant))) for tenant in _names(TENANTS)]
