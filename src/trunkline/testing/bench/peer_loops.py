"""The consumers of aiokafka and FastStream, as their manuals show them: batches of 100, committed by hand.

Each runs twice: as a team writes it with what the framework brings, and with Trunkline's own codec and store
called by hand, which shows how much of the difference is the loop.

All of them wait for the answer to every commit. FastStream's `ack` does so on aiokafka only; on
confluent-kafka it sends the commit and never learns what became of it, so there its consumer is told to wait.
"""

import asyncio
import importlib.util
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from trunkline.catalogue.events.query import TOPIC
from trunkline.client.loop import POLL_RECORDS_MAX
from trunkline.client.store import Store
from trunkline.codec.record import Record
from trunkline.testing.bench import peer_work
from trunkline.testing.bench.tally import DEADLINE_S, Tally

Run: TypeAlias = Callable[[str, Store, str, Tally], float]
"""Address, store, group, tally: events a second."""

Commit: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]
"""Commits what a FastStream message has brought, and waits for the answer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A consumer to compare with, and the packages it needs."""

    name: str
    needs: tuple[str, ...]
    run: Run

    @property
    def installed(self) -> bool:
        """Whether it can be measured here; peers are development dependencies."""
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


def _aiokafka(address: str, store: Store, group: str, tally: Tally) -> float:
    taken = peer_work.Reader().taken

    def apply(messages: list[Any]) -> None:
        peer_work.apply_taken(store, group, [taken(message) for message in messages])

    return _run_aiokafka(address, group, tally, apply)


def _aiokafka_by_hand(address: str, store: Store, group: str, tally: Tally) -> float:
    def apply(messages: list[Any]) -> None:
        peer_work.apply_records(store, group, map(_record_of_aiokafka, messages))

    return _run_aiokafka(address, group, tally, apply)


def _run_aiokafka(address: str, group: str, tally: Tally, apply: Callable[[list[Any]], None]) -> float:
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
                messages = [message for part in found.values() for message in part]
                if messages:
                    apply(messages)
                    await consumer.commit()
                    tally.add(len(messages))
        finally:
            await consumer.stop()

    asyncio.run(consume())
    return tally.rate()


def _faststream_confluent(address: str, store: Store, group: str, tally: Tally) -> float:
    handler = _typed(store, group, tally, _place_of_confluent, commit=_commit_of_confluent)
    return _run_faststream(_confluent_broker(address), handler, group, tally)


def _faststream_aiokafka(address: str, store: Store, group: str, tally: Tally) -> float:
    handler = _typed(store, group, tally, _place_of_aiokafka, commit=_commit_of_aiokafka)
    return _run_faststream(_aiokafka_broker(address), handler, group, tally)


def _faststream_confluent_by_hand(address: str, store: Store, group: str, tally: Tally) -> float:
    handler = _untyped(store, group, tally, record_of_confluent, commit=_commit_of_confluent)
    return _run_faststream(_confluent_broker(address), handler, group, tally, decoder=_undecoded)


def _faststream_aiokafka_by_hand(address: str, store: Store, group: str, tally: Tally) -> float:
    handler = _untyped(store, group, tally, _record_of_aiokafka, commit=_commit_of_aiokafka)
    return _run_faststream(_aiokafka_broker(address), handler, group, tally, decoder=_undecoded)


def _confluent_broker(address: str) -> Any:
    from faststream.confluent import KafkaBroker

    return KafkaBroker(address, allow_auto_create_topics=False, logger=None)


def _aiokafka_broker(address: str) -> Any:
    from faststream.kafka import KafkaBroker

    return KafkaBroker(address, logger=None)


def _typed(
    store: Store,
    group: str,
    tally: Tally,
    place_of: Callable[[Any], tuple[str, int, int]],
    *,
    commit: Commit,
) -> Callable[..., Coroutine[Any, Any, None]]:
    """FastStream decodes the value and validates it with pydantic; the context is in the headers."""
    from faststream import Context

    models = peer_work.Models()
    data: Any = models.data

    async def consume(events: list[data], message: Any = Context()) -> None:  # noqa: B008 - FastStream's way
        taken = [
            models.taken(place_of(raw), headers)
            for raw, headers in zip(message.raw_message, message.batch_headers, strict=True)
        ]
        peer_work.apply_taken(store, group, taken)
        await commit(message)
        tally.add(len(events))

    return consume


def _untyped(
    store: Store, group: str, tally: Tally, record_of: Callable[[Any], Record], *, commit: Commit
) -> Callable[..., Coroutine[Any, Any, None]]:
    from faststream import Context

    async def consume(_body: Any, message: Any = Context()) -> None:  # noqa: B008 - FastStream's way
        peer_work.apply_records(store, group, map(record_of, message.raw_message))
        await commit(message)
        tally.add(len(message.raw_message))

    return consume


def _run_faststream(
    broker: Any,
    handler: Callable[..., Coroutine[Any, Any, None]],
    group: str,
    tally: Tally,
    *,
    decoder: Callable[[Any], Coroutine[Any, Any, Any]] | None = None,
) -> float:
    from faststream import AckPolicy

    broker.subscriber(
        TOPIC,
        group_id=group,
        auto_offset_reset="earliest",
        batch=True,
        max_records=POLL_RECORDS_MAX,
        ack_policy=AckPolicy.MANUAL,
        decoder=decoder,
    )(handler)

    async def run() -> None:
        async with broker:
            await broker.start()
            deadline = time.monotonic() + DEADLINE_S
            while not tally.done.is_set() and time.monotonic() < deadline:
                await asyncio.sleep(0.05)

    asyncio.run(run())
    return tally.rate()


async def _commit_of_aiokafka(message: Any) -> None:
    await message.ack()


async def _commit_of_confluent(message: Any) -> None:
    await message.consumer.commit(asynchronous=False)


async def _undecoded(message: Any) -> Any:
    """Here the event is decoded by Trunkline's codec; FastStream need not do it, too."""
    return message.body


def _place_of_aiokafka(message: Any) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset


def _place_of_confluent(message: Any) -> tuple[str, int, int]:
    return message.topic(), message.partition(), message.offset()


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


def record_of_confluent(message: Any) -> Record:
    """As the client's own adapter makes it."""
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


_WITH_STORE: Final = "with our codec and store by hand"

AS_WRITTEN: Final = (
    Peer(
        "FastStream on confluent-kafka", ("faststream", "confluent_kafka", "pydantic"), _faststream_confluent
    ),
    Peer("FastStream on aiokafka", ("faststream", "aiokafka", "pydantic"), _faststream_aiokafka),
    Peer("aiokafka", ("aiokafka", "cloudevents", "pydantic"), _aiokafka),
)
BY_HAND: Final = (
    Peer(
        f"FastStream on confluent-kafka {_WITH_STORE}",
        ("faststream", "confluent_kafka"),
        _faststream_confluent_by_hand,
    ),
    Peer(f"FastStream on aiokafka {_WITH_STORE}", ("faststream", "aiokafka"), _faststream_aiokafka_by_hand),
    Peer(f"aiokafka {_WITH_STORE}", ("aiokafka",), _aiokafka_by_hand),
)
