"""How many events a second a relay takes from an outbox to the log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from trunkline.catalogue.events import EVENT_TYPES
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox, Relay, rows
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate, open_store
from trunkline.testing import postgres
from trunkline.testing.bench.figures import Figure, figure
from trunkline.testing.bench.raw import LoadFailed
from trunkline.testing.postgres import PostgresServer
from trunkline.testing.processes import BrokerProcess

PART: Final = "outbox"
SERVICE: Final = "query-engine"
TYPE: Final = EventType("query.completed.v1")
TENANTS: Final = 200
EVENTS: Final = 4_000
EVENTS_OF_ONE: Final = 500
ADDED_AT_ONCE: Final = 100
POLL_S: Final = 0.02
DEADLINE_S: Final = 120.0

NOTES: Final = (
    f"outbox: one relay, {EVENTS} events of {TENANTS} tenants, or {EVENTS_OF_ONE} of one, from the start of "
    "the relay until the last row is gone; a tenant's events go one after the other",
)


def measure(directory: Path, *, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Events a second from each kind of database; PostgreSQL only where it is installed."""
    catalogue = load_catalogue(None)
    figures: list[Figure] = []
    with BrokerProcess(directory / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, catalogue, "development")
        for kind in ("sqlite", "postgresql"):
            missing = postgres.why_missing() if kind == "postgresql" else None
            if missing is not None:
                say(f"outbox: {missing}")
                continue
            with _store(kind, directory) as store:
                for tenants, events in ((TENANTS, EVENTS), (1, EVENTS_OF_ONE)):
                    say(f"outbox on {kind}, tenants: {tenants}")
                    samples = [
                        _relayed(store, connection, catalogue, tenants=tenants, events=events)
                        for _ in range(rounds)
                    ]
                    name = f"relay, {kind}, {tenants} tenant{'s' if tenants > 1 else ''}"
                    figures.append(figure(PART, name, samples=samples, unit="events/s", better="more"))
    return figures


@contextmanager
def _store(kind: str, directory: Path) -> Iterator[Store]:
    if kind == "sqlite":
        yield from _opened(f"sqlite:///{directory / 'outbox.db'}")
        return
    with PostgresServer() as server:
        yield from _opened(server.create_database())


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        migrate(store, OUTBOX)
        yield store
    finally:
        store.close()


def _relayed(
    store: Store, connection: ConnectionOptions, catalogue: Catalogue, *, tenants: int, events: int
) -> float:
    _fill(store, catalogue, tenants=tenants, events=events)
    with Publisher(service=SERVICE, connection=connection, catalogue=catalogue) as publisher:
        relay = Relay(store, publisher)
        began = time.perf_counter()
        relay.start()
        try:
            while _pending(store):
                if time.perf_counter() - began > DEADLINE_S:
                    raise LoadFailed(f"the relay did not publish {events} events in {DEADLINE_S:g} s")
                time.sleep(POLL_S)
            return events / (time.perf_counter() - began)
        finally:
            relay.stop()


def _fill(store: Store, catalogue: Catalogue, *, tenants: int, events: int) -> None:
    declaration = EVENT_TYPES[TYPE]
    event = msgspec.convert(dict(declaration.example), declaration.cls)
    outbox = Outbox(service=SERVICE, catalogue=catalogue)
    for begin in range(0, events, ADDED_AT_ONCE):
        with store.write() as tx:
            for number in range(begin, min(events, begin + ADDED_AT_ONCE)):
                outbox.emit(tx, event, tenant=f"tenant-{number % tenants}")


def _pending(store: Store) -> int:
    with store.read() as tx:
        return rows.status(tx).pending
