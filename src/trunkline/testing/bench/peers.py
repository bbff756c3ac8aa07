"""The consumer runtime beside FastStream and aiokafka, all doing the same durable work on the same records.

The work: decode and validate each event; in one transaction for a partition's part of a batch of at most 100
move the position, drop duplicates and insert a row an event into SQLite (WAL, `synchronous=FULL`); then
commit the offsets synchronously. The peers have nothing of that but the loop: what their handlers do is
Trunkline's own store, called by hand.
"""

import asyncio
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import closing
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert

from trunkline.catalogue.events.query import TOPIC
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import decode_or_refuse
from trunkline.client.config import ConnectionOptions, ConsumerOptions, ProducerOptions, producer_config
from trunkline.client.handler import Received, Refusal
from trunkline.client.loop import POLL_RECORDS_MAX
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store, dedupe, migrate, open_store, position
from trunkline.client.store.position import Lane
from trunkline.codec import encode
from trunkline.codec.record import Record
from trunkline.testing.bench import micro, raw
from trunkline.testing.bench.engine import create_topic
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.processes import BrokerProcess

PART: Final = "peers"
EVENTS: Final = 20_000
EVENTS_MIN: Final = 2_000
DEADLINE_S: Final = 90.0
TIMES_FASTER: Final = 3.0
APPLIED_PER_SECOND: Final = 20_000.0

NOTES: Final = (
    "peers: every one decodes, moves the position, deduplicates and inserts a row an event into SQLite (WAL, "
    "FULL) in batches of at most 100, and commits offsets synchronously; the peers' handlers call "
    "Trunkline's own store for it, and keep no failures",
    "peers: FastStream with batch=True and manual acknowledgement after the store's commit; records are not "
    "compressed, because aiokafka cannot read snappy as it is installed",
)

Say = Callable[[str], None]

_METADATA: Final = MetaData()
_ROW: Final = Table(
    "applied",
    _METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("tenantid", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
)
_INSERT: Final = insert(_ROW)
_PLACE: Final = attrgetter("partition", "offset")


class Tally:
    """Counts what was applied, and when the first and the last of it came."""

    def __init__(self, events: int) -> None:
        self.done = threading.Event()
        self._events = events
        self._seen = 0
        self._uncounted = 0
        self._first = self._last = 0.0

    def add(self, number: int) -> None:
        """A batch is durable. The first one was fetched before the clock could start, and is not counted."""
        now = time.perf_counter()
        self._seen += number
        if not self._first:
            self._first, self._uncounted = now, number
        if self._seen >= self._events and not self.done.is_set():
            self._last = now
            self.done.set()

    def rate(self) -> float:
        """Events a second. Raises `LoadFailed` if not all of them came."""
        if not self.done.is_set():
            raise raw.LoadFailed(f"{self._seen} of {self._events} events were applied in time")
        return (self._seen - self._uncounted) / (self._last - self._first)


def insert_rows(tx: Connection, events: Sequence[Received]) -> None:
    """The effect that all have in common."""
    tx.execute(
        _INSERT,
        [
            {"tenantid": item.event.tenantid, "event_id": item.event.id, "type": item.event.type}
            for item in events
        ],
    )


def measure(directory: Path, *, seconds: float, rounds: int, say: Say) -> list[Figure]:
    """Events a second of each, in turns; a peer that is not installed is left out, and said to be."""
    peers = [peer for peer in (FASTSTREAM_CONFLUENT, FASTSTREAM_AIOKAFKA, AIOKAFKA) if installed(peer)]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in peers}
    logging.getLogger("faststream").setLevel(logging.ERROR)
    with BrokerProcess(directory / "broker") as broker:
        create_topic(broker.address, TOPIC)
        events = _fill(broker.address, seconds=seconds)
        for number in range(rounds):
            say(f"peers, round {number + 1} of {rounds}")
            ours.append(_ours(broker.address, directory / f"ours-{number}.db", number, events=events))
            for peer in peers:
                store = _open(directory / f"{peer}-{number}.db")
                with closing(store):
                    rate = _PEERS[peer](broker.address, store, f"{peer}-{number}", Tally(events))
                theirs[peer].append(rate)
    return [
        figure(
            PART, "durable apply", samples=ours, unit="events/s", better="more", target=APPLIED_PER_SECOND
        ),
        *(
            figure(
                PART,
                f"durable apply, times {peer}",
                samples=[own / other for own, other in zip(ours, rates, strict=True)],
                unit="x",
                better="more",
                target=TIMES_FASTER,
            )
            for peer, rates in theirs.items()
        ),
        *(
            figure(PART, f"durable apply of {peer}", samples=rates, unit="events/s", better="more")
            for peer, rates in theirs.items()
        ),
    ]


def installed(peer: str) -> bool:
    """Whether this peer can be measured here; they are development dependencies."""
    return all(importlib.util.find_spec(name) is not None for name in _NEEDS[peer])


def _fill(address: str, *, seconds: float) -> int:
    """Fill the topic with events of different ids, for only ours would notice a repetition."""
    connection = ConnectionOptions(bootstrap_servers=address)
    # Without a further package aiokafka cannot read the contract's snappy, nor can FastStream on top of it.
    config = {**producer_config(connection, ProducerOptions()), "compression.type": "none"}
    template = micro.envelope()
    events = [
        encode(
            msgspec.structs.replace(
                template, id=f"event-{number}", tenantid=TenantId(f"tenant-{number % 50}")
            )
        )
        for number in range(max(EVENTS_MIN, round(EVENTS * min(seconds, 1.0))))
    ]
    raw.produce_once(config, TOPIC, events=events)
    return len(events)


def _open(file: Path) -> Store:
    store = open_store(f"sqlite:///{file}")
    migrate(store)
    with store.write() as tx:
        _METADATA.create_all(tx)
    return store


class _Inserting:
    """Our handler."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        insert_rows(tx, events)
        self._tally.add(len(events))

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - Handler's
        raise raw.LoadFailed(f"{record.topic}/{record.partition}@{record.offset}: {refusal.detail}")


def _ours(address: str, file: Path, number: int, *, events: int) -> float:
    tally = Tally(events)
    with closing(_open(file)) as store:
        runtime = ConsumerRuntime(
            service="bench",
            topics=[TOPIC],
            handler=_Inserting(tally),
            store=store,
            connection=ConnectionOptions(bootstrap_servers=address),
            options=ConsumerOptions(group=f"bench-ours-{number}"),
        )
        thread = threading.Thread(target=runtime.run)
        thread.start()
        try:
            tally.done.wait(DEADLINE_S)
        finally:
            runtime.stop()
            thread.join()
    return tally.rate()


def _apply(store: Store, group: str, records: Sequence[Record], tally: Tally) -> None:
    """What a peer's handler does with a partition's batch, by the same functions as the runtime."""
    received = [decode_or_refuse(record) for record in records]
    events = [item for item in received if isinstance(item, Received)]
    first, target = records[0], records[-1].offset + 1
    lane = Lane(group=group, cluster_id="", topic=first.topic, topic_id="", partition=first.partition)
    with store.write() as tx:
        stored = position.read(tx, [lane])[lane]
        position.advance(tx, lane, expected=stored, target=target)
        sifted = dedupe.sift(tx, group, events)
        insert_rows(tx, sifted.fresh)
        dedupe.remember(tx, group, sifted.fresh, sifted.digests)
    tally.add(len(events))


def _apply_all(store: Store, group: str, records: Iterable[Record], tally: Tally) -> None:
    for _, batch in groupby(sorted(records, key=_PLACE), key=attrgetter("partition")):
        _apply(store, group, list(batch), tally)


async def _until_done(tally: Tally) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not tally.done.is_set() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)


def _aiokafka(address: str, store: Store, group: str, tally: Tally) -> float:
    from aiokafka import AIOKafkaConsumer

    async def consume() -> None:
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=address,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        deadline = time.monotonic() + DEADLINE_S
        try:
            while not tally.done.is_set() and time.monotonic() < deadline:
                found = await consumer.getmany(timeout_ms=100, max_records=POLL_RECORDS_MAX)
                for messages in found.values():
                    _apply(store, group, list(map(_record_of_aiokafka, messages)), tally)
                if found:
                    await consumer.commit()
        finally:
            await consumer.stop()

    asyncio.run(consume())
    return tally.rate()


def _faststream_confluent(address: str, store: Store, group: str, tally: Tally) -> float:
    from faststream import AckPolicy
    from faststream.confluent import KafkaBroker

    broker = KafkaBroker(address, allow_auto_create_topics=False, logger=None)
    subscriber = broker.subscriber(
        TOPIC,
        group_id=group,
        auto_offset_reset="earliest",
        batch=True,
        max_records=POLL_RECORDS_MAX,
        ack_policy=AckPolicy.MANUAL,
        decoder=_undecoded,
    )
    asyncio.run(
        _faststream(broker, subscriber, tally, apply=_applying(store, group, tally, _record_of_confluent))
    )
    return tally.rate()


def _faststream_aiokafka(address: str, store: Store, group: str, tally: Tally) -> float:
    from faststream import AckPolicy
    from faststream.kafka import KafkaBroker

    broker = KafkaBroker(address, logger=None)
    subscriber = broker.subscriber(
        TOPIC,
        group_id=group,
        auto_offset_reset="earliest",
        batch=True,
        max_records=POLL_RECORDS_MAX,
        ack_policy=AckPolicy.MANUAL,
        decoder=_undecoded,
    )
    asyncio.run(
        _faststream(broker, subscriber, tally, apply=_applying(store, group, tally, _record_of_aiokafka))
    )
    return tally.rate()


def _applying(
    store: Store, group: str, tally: Tally, record_of: Callable[[Any], Record]
) -> Callable[[Iterable[Any]], None]:
    def apply(messages: Iterable[Any]) -> None:
        _apply_all(store, group, map(record_of, messages), tally)

    return apply


async def _faststream(
    broker: Any, subscriber: Any, tally: Tally, *, apply: Callable[[Iterable[Any]], None]
) -> None:
    async def handle(message: Any) -> None:
        apply(message.raw_message)
        await message.ack()

    subscriber(_with_message(handle))
    async with broker:
        await broker.start()
        await _until_done(tally)


def _with_message(handle: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[..., Any]:
    from faststream import Context

    async def consume(_body: Any, message: Any = Context()) -> None:  # noqa: B008 - FastStream's way to say it
        await handle(message)

    return consume


async def _undecoded(message: Any) -> Any:
    """The event is decoded by the handler, as everywhere here; FastStream need not do it, too."""
    return message.body


def _record_of_aiokafka(message: Any) -> Record:
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.timestamp,
        message.key,
        message.value,
        tuple(message.headers),
    )


def _record_of_confluent(message: Any) -> Record:
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


FASTSTREAM_CONFLUENT: Final = "FastStream on confluent-kafka"
FASTSTREAM_AIOKAFKA: Final = "FastStream on aiokafka"
AIOKAFKA: Final = "aiokafka"
_NEEDS: Final = {
    FASTSTREAM_CONFLUENT: ("faststream", "confluent_kafka"),
    FASTSTREAM_AIOKAFKA: ("faststream", "aiokafka"),
    AIOKAFKA: ("aiokafka",),
}
_PEERS: Final[dict[str, Callable[[str, Store, str, Tally], float]]] = {
    FASTSTREAM_CONFLUENT: _faststream_confluent,
    FASTSTREAM_AIOKAFKA: _faststream_aiokafka,
    AIOKAFKA: _aiokafka,
}
