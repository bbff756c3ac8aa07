"""What the runtime costs without a store: beside a raw loop that polls, reads and commits, one that also
decodes the value, and one that does all that the contract asks for, with the same codec."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from trunkline.catalogue.events.query import TOPIC
from trunkline.catalogue.names import TenantId
from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    consumer_config,
    producer_config,
)
from trunkline.client.handler import Received
from trunkline.client.plain import PlainConsumer
from trunkline.client.store import migrate, open_store
from trunkline.codec import decode, encode
from trunkline.testing.bench import micro, raw
from trunkline.testing.bench.engine import create_topic
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.bench.peer_loops import record_of_confluent
from trunkline.testing.bench.tally import DEADLINE_S, Say, Tally
from trunkline.testing.processes import BrokerProcess

PART: Final = "plain"
EVENTS: Final = 40_000
OVERHEAD_MAX: Final = 1.25

_decode: Final = msgspec.json.Decoder(type(micro.EVENT)).decode

NOTES: Final = (
    "plain: the raw loop polls 100, reads key, value, headers, and commits synchronously; the decoding one "
    "also decodes the value into the same type, and no header; the one with the codec decodes and checks the "
    "whole event as the runtime does, so that what is left is the runtime itself",
)


def measure(directory: Path, *, rounds: int, say: Say) -> list[Figure]:
    """Microseconds an event of each loop, in turns."""
    runtime: list[float] = []
    bare: list[float] = []
    decoding: list[float] = []
    contract: list[float] = []
    with BrokerProcess(directory / "broker") as broker:
        create_topic(broker.address, TOPIC)
        template = micro.envelope()
        events = [
            encode(msgspec.structs.replace(template, tenantid=TenantId(f"tenant-{number % 50}")))
            for number in range(EVENTS)
        ]
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        raw.produce_once(producer_config(connection, ProducerOptions()), TOPIC, events=events)
        for number in range(rounds):
            say(f"plain, round {number + 1} of {rounds}")
            runtime.append(_runtime(connection, directory / "ledger.db", number))
            bare.append(_loop(connection, f"bench-bare-{number}", read=None))
            decoding.append(_loop(connection, f"bench-decoding-{number}", read=_decode_value))
            contract.append(_loop(connection, f"bench-codec-{number}", read=_decode_event))
    return [
        _overhead("overhead without a store", runtime, bare, peer="raw librdkafka loop"),
        _overhead("overhead without a store, both decoding", runtime, decoding, peer="raw loop that decodes"),
        _overhead("overhead without a store, same codec", runtime, contract, peer="raw loop with the codec"),
    ]


def _overhead(name: str, ours: Sequence[float], theirs: Sequence[float], *, peer: str) -> Figure:
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    return figure(PART, f"{name}, times {peer}", samples=ratios, unit="x", better="less", target=OVERHEAD_MAX)


class _Counting:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def handle(self, events: Sequence[Received]) -> None:
        self._tally.add(len(events))


def _runtime(connection: ConnectionOptions, ledger: Path, number: int) -> float:
    """Microseconds an event."""
    tally = Tally(EVENTS)
    with closing(open_store(f"sqlite:///{ledger}")) as store:
        migrate(store)
        consumer = PlainConsumer(
            service="bench",
            topics=[TOPIC],
            handler=_Counting(tally),
            ledger=store,
            connection=connection,
            options=ConsumerOptions(group=f"bench-plain-{number}"),
        )
        thread = threading.Thread(target=consumer.run)
        thread.start()
        try:
            tally.done.wait(DEADLINE_S)
        finally:
            consumer.stop()
            thread.join()
    return 1e6 / tally.rate()


def _decode_value(message: Any) -> None:
    message.headers(), message.key(), message.timestamp()
    _decode(message.value())


def _decode_event(message: Any) -> None:
    decode(record_of_confluent(message))


def _loop(connection: ConnectionOptions, group: str, *, read: Callable[[Any], None] | None) -> float:
    """Microseconds an event of a loop as a careful team would write it."""
    config = consumer_config(connection, ConsumerOptions(group=group))
    tally = Tally(EVENTS)
    raw.consume_whole(config, TOPIC, read=read, add=tally.add, done=tally.done.is_set)
    return 1e6 / tally.rate()
