"""How soon a change that the config service has committed is known to every instance."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.entries import Name
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX, Outbox, Relay
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate, open_store
from trunkline.services.config.changes import Draft, Rules
from trunkline.services.config.desk import ConfigDesk
from trunkline.services.config.tables import CONFIG
from trunkline.services.kit.ending import ENDING
from trunkline.services.settings.registry import registry
from trunkline.testing.bench.broadcast import (
    CHANGES,
    INSTANCES,
    KEY,
    PROPAGATION_P99_MS,
    PUBLISHER,
    RESOLVE_US,
    Arrivals,
    lookup_us,
    running_instances,
)
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.raw import LoadFailed
from trunkline.testing.processes import BrokerProcess

PART: Final = "config"
RELAY_SECONDS: Final = 30.0

NOTES: Final = (
    f"config: {INSTANCES} instances in one process with the service's store, outbox and relay; from the "
    "commit of a change to the moment at which look-ups of an instance give the new value",
)


class _Committed:
    """When the last change was committed, and what then wakes the relay."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.at = 0.0

    def __call__(self) -> None:
        self.at = time.perf_counter()
        self._wake()


def measure(
    directory: Path, *, rounds: int, say: Callable[[str], None], instances: int = INSTANCES
) -> list[Figure]:
    """Milliseconds of a change, from its commit to its effect on every instance; microseconds a look-up."""
    catalogue = load_catalogue(None)
    medians: list[float] = []
    slowest: list[float] = []
    commits: list[float] = []
    lookups: list[float] = []
    arrivals = Arrivals()
    with BrokerProcess(directory / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, catalogue, "development")
        say(f"config: {instances} instances start")
        with (
            _store(directory) as store,
            _relay(store, connection, catalogue) as relay,
            running_instances(instances, connection, catalogue, arrivals) as started,
        ):
            committed = _Committed(relay.wake)
            desk = ConfigDesk(store, _rules(catalogue), wake=committed)
            # The first change also pays for the connections.
            _change(desk, arrivals, committed, 1, instances)
            for number in range(rounds):
                say(f"config, round {number + 1} of {rounds}")
                first = 2 + number * CHANGES
                took = [
                    _change(desk, arrivals, committed, version, instances)
                    for version in range(first, first + CHANGES)
                ]
                seen = [milliseconds for _, all_of_them in took for milliseconds in all_of_them]
                medians.append(percentile(seen, 50))
                slowest.append(percentile(seen, 99))
                commits.append(percentile([commit for commit, _ in took], 50))
                lookups.append(lookup_us(started[0]))
    return [
        figure(PART, "change committed", samples=commits, unit="ms", better="less"),
        figure(PART, "commit to instance p50", samples=medians, unit="ms", better="less"),
        figure(
            PART,
            "commit to instance p99",
            samples=slowest,
            unit="ms",
            better="less",
            target=PROPAGATION_P99_MS,
        ),
        figure(PART, "resolve", samples=lookups, unit="µs", better="less", target=RESOLVE_US),
    ]


def _change(
    desk: ConfigDesk, arrivals: Arrivals, committed: _Committed, version: int, instances: int
) -> tuple[float, list[float]]:
    """Milliseconds until the commit, and from there to each instance."""
    began = time.perf_counter()
    desk.submit(Draft(name=Name("value", "global", None, KEY), value=version, actor="bench"))
    at = committed.at
    return (at - began) * 1000, [(seen - at) * 1000 for seen in arrivals.of(version, instances)]


def _rules(catalogue: Catalogue) -> Rules:
    outbox = Outbox(service=PUBLISHER, catalogue=catalogue)
    return Rules(catalogue=catalogue, registry=registry(), outbox=outbox)


@contextmanager
def _store(directory: Path) -> Iterator[Store]:
    with closing(open_store(f"sqlite:///{directory / 'config.db'}")) as store:
        for component in (OUTBOX, ENDING, CONFIG):
            migrate(store, component)
        yield store


@contextmanager
def _relay(store: Store, connection: ConnectionOptions, catalogue: Catalogue) -> Iterator[Relay]:
    with Publisher(service=PUBLISHER, connection=connection, catalogue=catalogue) as publisher:
        relay = Relay(store, publisher)
        relay.start()
        try:
            if not relay.wait_started(RELAY_SECONDS):
                raise LoadFailed(f"the relay did not start within {RELAY_SECONDS:g} s")
            yield relay
        finally:
            relay.stop()
