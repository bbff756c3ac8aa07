"""`trunkline relay`: a relay as a process of its own, killed and started again."""

import os
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from sqlalchemy import select

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import StoreUnavailable
from trunkline.client.outbox import OUTBOX, Outbox, rows
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.reader import TopicReader
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import decode
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess, CommandProcess

TYPE = EventType("query.completed.v1")
TENANTS = [f"t{number}" for number in range(8)]

Starting = Callable[..., CommandProcess]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    migrate(opened, OUTBOX)
    yield opened
    opened.close()


@pytest.fixture
def broker(broker_factory: Callable[..., BrokerProcess]) -> BrokerProcess:
    """One of the test's own, with the contract's topics."""
    broker = broker_factory()
    ensure_topics(ConnectionOptions(bootstrap_servers=broker.address), load_catalogue(None), "development")
    return broker


@pytest.fixture
def address(broker: BrokerProcess) -> str:
    return broker.address


@pytest.fixture
def start(store: Store, address: str) -> Iterator[Starting]:
    running: list[CommandProcess] = []

    def start() -> CommandProcess:
        arguments = ["relay", "--store", store.url, "--service", "query-engine", "-b", address, "--json"]
        running.append(
            CommandProcess([*arguments, "--metrics-port", "0"], ready=lambda line: "store" in line)
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()


def emit(store: Store, count: int, *, first: int = 0) -> None:
    declaration = EVENT_TYPES[TYPE]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    outbox = Outbox(service="query-engine", catalogue=load_catalogue(None))
    for number in range(first, first + count):
        with store.write() as tx:
            outbox.emit(tx, event, tenant=TENANTS[number % len(TENANTS)], id=f"{number}")


def pending(store: Store) -> int:
    with store.read() as tx:
        return rows.status(tx).pending


def published(address: str) -> dict[str, list[int]]:
    """The numbers of each tenant, in the order of the log."""
    found: dict[str, list[int]] = defaultdict(list)
    with TopicReader(ConnectionOptions(bootstrap_servers=address), "query.execution.events") as reader:
        for record in reader.existing():
            event = decode(record)
            found[event.tenantid].append(int(event.id))
    return found


def freeze(process: CommandProcess, store: Store) -> None:
    """Between two of its transactions on SQLite: inside of one it keeps the whole file locked from everybody,
    for as long as it is frozen. PostgreSQL ends the transaction of who is silent for too long."""
    while True:
        process.pause()
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # A signal is only sent when `pause` returns.
        try:
            with store.write():
                return
        except StoreUnavailable:
            process.resume()


def metrics_of(process: CommandProcess) -> str:
    port = msgspec.json.decode(process.ready_line)["metrics_port"]
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def test_it_publishes_says_when_it_is_ready_counts_and_stops(
    store: Store, address: str, start: Starting
) -> None:
    emit(store, 20)
    process = start()
    ready = msgspec.json.decode(process.ready_line)
    assert ready["service"] == "query-engine"
    eventually(lambda: pending(store) == 0)
    metrics = metrics_of(process)
    assert 'trunkline_outbox_published_total{service="query-engine"} 20.0' in metrics
    assert process.terminate() == 0
    assert sum(map(len, published(address).values())) == 20


def test_stuck_events_are_listed_and_given_up_by_position(
    store: Store, trunkline: Callable[..., Any]
) -> None:
    emit(store, 3)
    assert trunkline("relay", "stuck", "--store", store.url) == (0, "nothing is stuck\n", "")
    with store.write() as tx:
        positions = [row.position for row in rows.heads(tx, TENANTS[:3])]
        for position in positions[:2]:
            rows.failed(tx, position, error="too large", refused=True, now_ms=1)
    listed = trunkline("relay", "stuck", "--store", store.url).out.splitlines()
    assert [line.split()[:2] for line in listed] == [
        [str(position), tenant] for position, tenant in zip(positions, TENANTS[:2], strict=False)
    ]
    assert all("1 attempt: too large" in line for line in listed)
    shown = trunkline("relay", "stuck", "--store", store.url, "--json").json()
    assert [(event["id"], event["tenant"], event["attempts"]) for event in shown] == [
        ("0", "t0", 1),
        ("1", "t1", 1),
    ]

    def discard(*wanted: int) -> Any:
        named = [str(position) for position in wanted]
        return trunkline("relay", "discard", *named, "--note", "sent by hand", "--store", store.url)

    # One that is not stuck: neither of the two is given up.
    refused = discard(positions[0], positions[2])
    assert refused.code == 2
    assert f"no stuck event at position {positions[2]}; `trunkline relay stuck`" in refused.err
    assert discard(positions[0]).out == "discarded 1 event\n"
    assert [event["id"] for event in trunkline("relay", "stuck", "--store", store.url, "--json").json()] == [
        "1"
    ]
    with store.read() as tx:
        kept = select(OUTBOX_EVENT.c.id, OUTBOX_EVENT.c.note).where(OUTBOX_EVENT.c.note.is_not(None))
        assert tx.execute(kept).all() == [("0", "sent by hand")]


@pytest.mark.parametrize("command", [["stuck"], ["discard", "1", "--note", "x"]])
def test_an_outbox_that_is_not_named_is_asked_for(trunkline: Callable[..., Any], command: list[str]) -> None:
    done = trunkline("relay", *command)
    assert done.code == 2
    assert "--store URL" in done.err


def test_an_outbox_that_is_not_there_is_a_wrong_path_and_is_not_made(
    trunkline: Callable[..., Any], tmp_path: Path
) -> None:
    missing = tmp_path / "none.db"
    done = trunkline("relay", "stuck", "--store", f"sqlite:///{missing}")
    assert (done.code, missing.exists()) == (2, False)
    assert f"there is no database at {missing}" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_while_the_cluster_is_away_it_stops_within_the_time_that_kubernetes_gives(
    store: Store, broker: BrokerProcess, start: Starting
) -> None:
    emit(store, 1)
    process = start()
    eventually(lambda: pending(store) == 0)
    broker.pause()
    emit(store, 1, first=1)
    eventually(lambda: 'trunkline_outbox_pending_events{service="query-engine"} 1.0' in metrics_of(process))
    assert process.terminate(timeout_s=30) == 0
    broker.resume()
    assert pending(store) == 1


@pytest.mark.slow
def test_killed_at_random_moments_it_loses_nothing_and_keeps_every_tenants_order(
    store: Store, address: str, start: Starting
) -> None:
    moments = random.Random(3)
    total = 3_000
    emit(store, total // 2)
    for _ in range(6):
        process = start()
        left = pending(store)
        eventually(lambda: pending(store) < max(1, left - moments.randint(1, 300)))  # noqa: B023 - used at once
        process.kill()
    emit(store, total // 2, first=total // 2)
    start()
    start()
    eventually(lambda: pending(store) == 0, seconds=60)
    for number, tenant in enumerate(TENANTS):
        first = list(dict.fromkeys(published(address)[tenant]))
        assert first == list(range(number, total, len(TENANTS)))


@pytest.mark.slow
def test_a_frozen_relay_that_wakes_after_others_went_on_brings_nothing_too_early(
    store: Store, address: str, start: Starting
) -> None:
    total = 2_000
    emit(store, total // 2)
    frozen = start()
    eventually(lambda: pending(store) < total // 2 - 50)
    freeze(frozen, store)
    start()
    eventually(lambda: pending(store) == 0, seconds=60)
    emit(store, total // 2, first=total // 2)
    frozen.resume()
    eventually(lambda: pending(store) == 0, seconds=60)
    frozen.terminate()
    for number, tenant in enumerate(TENANTS):
        first = list(dict.fromkeys(published(address)[tenant]))
        assert first == list(range(number, total, len(TENANTS)))
