"""The consumer runtime beside FastStream and aiokafka, all doing the same durable work on the same records.

The work: decode and validate each event; in one transaction for a part of a batch of at most 100 note the
position, drop duplicates and insert a row an event into SQLite (WAL, `synchronous=FULL`); then commit the
offsets synchronously. See `peer_work` for the two ways in which the peers do it.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from sqlalchemy import Connection

from trunkline.catalogue.events.query import TOPIC
from trunkline.catalogue.names import TenantId
from trunkline.client.batch import decode_all
from trunkline.client.config import ConnectionOptions, ConsumerOptions, ProducerOptions, producer_config
from trunkline.client.handler import Received, Refusal
from trunkline.client.loop import POLL_RECORDS_MAX
from trunkline.client.runtime import ConsumerRuntime
from trunkline.client.store import Store, dedupe, migrate, open_store, parking, position
from trunkline.client.store.position import Lane
from trunkline.codec import Encoded, encode
from trunkline.codec.record import Record
from trunkline.testing.bench import micro, peer_loops, peer_work, raw
from trunkline.testing.bench.engine import create_topic
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.bench.peer_loops import Peer
from trunkline.testing.bench.tally import DEADLINE_S, Say, Tally
from trunkline.testing.processes import BrokerProcess

PART: Final = "peers"
EVENTS: Final = 20_000
EVENTS_MIN: Final = 2_000
TENANTS: Final = 50
TIMES_FASTER: Final = 3.0
APPLIED_PER_SECOND: Final = 20_000.0

NOTES: Final = (
    "peers: every one decodes and validates, notes the position, deduplicates and inserts a row an event "
    "into SQLite (WAL, FULL) in batches of at most 100, then commits offsets synchronously; only ours also "
    "hashes the content, compares the position, looks for parked tenants and keeps failures",
    "peers: FastStream with batch=True, typed events (pydantic) and manual acknowledgement, the context "
    "validated with pydantic; aiokafka with the CloudEvents SDK and pydantic; both with an inbox table "
    "(INSERT ... ON CONFLICT DO NOTHING RETURNING) in one SQLAlchemy transaction for the whole batch",
    "peers: 'with our codec and store by hand' is the same loop calling Trunkline's own functions, "
    "which leaves only the loops to differ; what both do is most of the time, so 3x cannot be expected there",
    "peers: 'the transaction alone' is the runtime's own transaction and the handler, with events that were "
    "decoded beforehand and no Kafka: no consumer of this store in batches of 100 is faster, so its ratio is "
    "what the store leaves room for beside the fastest peer",
    "peers: records are not compressed, because aiokafka cannot read snappy as it is installed",
)


def measure(directory: Path, *, seconds: float, rounds: int, say: Say) -> list[Figure]:
    """Events a second of each, in turns; a peer that is not installed is left out, and said to be."""
    peers: list[Peer] = []
    for peer in (*peer_loops.AS_WRITTEN, *peer_loops.BY_HAND):
        if peer.installed:
            peers.append(peer)
        else:
            say(f"peers: {peer.name} is left out; it needs {', '.join(peer.needs)}")
    ours: list[float] = []
    bound: list[float] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in peers}
    logging.getLogger("faststream").setLevel(logging.ERROR)
    with BrokerProcess(directory / "broker") as broker:
        create_topic(broker.address, TOPIC)
        encoded = _events(seconds=seconds)
        events = len(encoded)
        _fill(broker.address, encoded)
        for number in range(rounds):
            say(f"peers, round {number + 1} of {rounds}")
            ours.append(_ours(broker.address, directory / f"ours-{number}.db", number, events=events))
            for place, peer in enumerate(peers):
                group = f"peer-{place}-{number}"
                with closing(_open(directory / f"{group}.db")) as store:
                    rate = peer.run(broker.address, store, group, Tally(events))
                theirs[peer.name].append(rate)
            bound.append(_transaction_alone(directory / f"alone-{number}.db", encoded))
    fastest = max(
        (peer.name for peer in peers if peer in peer_loops.AS_WRITTEN),
        default=None,
        key=lambda name: median(theirs[name]),
    )
    return [
        figure(
            PART, "durable apply", samples=ours, unit="events/s", better="more", target=APPLIED_PER_SECOND
        ),
        figure(
            PART,
            "durable apply, the transaction alone",
            samples=bound,
            unit="events/s",
            better="more",
            reference=theirs[fastest] if fastest else (),
            peer=fastest,
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


def _events(*, seconds: float) -> list[Encoded]:
    """Events of different ids, for only ours would notice a repetition."""
    template = micro.envelope()
    return [
        encode(
            msgspec.structs.replace(
                template, id=f"event-{number}", tenantid=TenantId(f"tenant-{number % TENANTS}")
            )
        )
        for number in range(max(EVENTS_MIN, round(EVENTS * min(seconds, 1.0))))
    ]


def _fill(address: str, events: Sequence[Encoded]) -> None:
    connection = ConnectionOptions(bootstrap_servers=address)
    # Without a further package aiokafka cannot read the contract's snappy, nor can FastStream on top of it.
    config = {**producer_config(connection, ProducerOptions()), "compression.type": "none"}
    raw.produce_once(config, TOPIC, events=events)


def _open(file: Path) -> Store:
    store = open_store(f"sqlite:///{file}")
    migrate(store)
    with store.write() as tx:
        peer_work.METADATA.create_all(tx)
    return store


class _Inserting:
    """Our handler."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        peer_work.insert_rows(tx, events)
        self._tally.add(len(events))

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - Handler's
        raise raw.LoadFailed(f"{record.topic}/{record.partition}@{record.offset}: {refusal.detail}")


def _transaction_alone(file: Path, encoded: Sequence[Encoded]) -> float:
    """Events a second of what the runtime does in the store with batches that are all new, and of no more."""
    lane = Lane(group="bench", cluster_id="", topic=TOPIC, topic_id="", partition=0)
    records = [
        Record(TOPIC, 0, offset, 0, event.key, event.value, tuple(event.headers))
        for offset, event in enumerate(encoded)
    ]
    events = decode_all(records).events
    tenants = {received.event.tenantid for received in events}
    tally = Tally(len(events))
    handler = _Inserting(tally)
    expected: int | None = None
    with closing(_open(file)) as store:
        for begin in range(0, len(events), POLL_RECORDS_MAX):
            batch = events[begin : begin + POLL_RECORDS_MAX]
            target = begin + len(batch)
            with store.write() as tx:
                position.advance(tx, lane, expected=expected, target=target)
                parking.parked(tx, group=lane.group, topic=lane.topic, tenants=tenants)
                dedupe.claim(tx, lane.group, batch)
                handler.handle(tx, batch)
            expected = target
    return tally.rate()


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
