"""What the runtime costs without a store: beside a raw loop that polls, reads and commits, and one that also
decodes."""

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

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
from trunkline.codec import encode
from trunkline.testing.bench import micro, raw
from trunkline.testing.bench.engine import create_topic
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.bench.tally import DEADLINE_S, Say, Tally
from trunkline.testing.processes import BrokerProcess

PART: Final = "plain"
EVENTS: Final = 40_000
OVERHEAD_MAX: Final = 1.25

NOTES: Final = (
    "plain: the raw loop polls 100, reads key, value, headers, and commits synchronously; the decoding one "
    "also decodes the value into the same type, which the runtime does with every header beside it",
)


def measure(directory: Path, *, rounds: int, say: Say) -> list[Figure]:
    """Microseconds an event of each loop, in turns."""
    runtime: list[float] = []
    bare: list[float] = []
    decoding: list[float] = []
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
            bare.append(_loop(connection, f"bench-bare-{number}", read=False))
            decoding.append(_loop(connection, f"bench-decoding-{number}", read=True))
    return [
        _overhead("overhead without a store", runtime, bare, peer="raw librdkafka loop"),
        _overhead("overhead without a store, both decoding", runtime, decoding, peer="raw loop that decodes"),
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


def _loop(connection: ConnectionOptions, group: str, *, read: bool) -> float:
    """Microseconds an event of a loop as a careful team would write it."""
    decode = msgspec.json.Decoder(type(micro.EVENT)).decode if read else None
    config = consumer_config(connection, ConsumerOptions(group=group))
    tally = Tally(EVENTS)
    raw.consume_whole(config, TOPIC, decode=decode, add=tally.add, done=tally.done.is_set)
    return 1e6 / tally.rate()
