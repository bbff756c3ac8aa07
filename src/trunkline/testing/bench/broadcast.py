"""How soon a change of configuration is known to every instance, and what a look-up costs."""

import threading
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.instance import Broadcast
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.testing.bench.figures import Figure, figure, percentile
from trunkline.testing.bench.raw import LoadFailed
from trunkline.testing.processes import BrokerProcess

PART: Final = "broadcast"
PUBLISHER: Final = "config-service"
KEY: Final = "bench.setting"
TENANT: Final = "acme"
INSTANCES: Final = 100
"""Of the thirteen services, all in this process: its one interpreter is the bottleneck, not the broker."""

CHANGES: Final = 20
"""Published one after the other in each round, each when everybody knows the one before."""

LOOKUPS: Final = 20_000
LOOKUP_SERIES: Final = 5
DEADLINE_S: Final = 60.0
PROPAGATION_P99_MS: Final = 100.0
RESOLVE_US: Final = 1.0

NOTES: Final = (
    f"broadcast: {INSTANCES} instances in one process; from the call of publish to the moment at which "
    "look-ups of an instance give the new value",
)


class Arrivals:
    """When each instance could see which version of `KEY`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: dict[int, list[float]] = {}

    def saw(self, version: int) -> None:
        """An instance sees it now."""
        now = time.perf_counter()
        with self._changed:
            self._seen.setdefault(version, []).append(now)
            self._changed.notify_all()

    def of(self, version: int, instances: int) -> list[float]:
        """The times at which so many instances saw it. Raises `LoadFailed` when they do not."""
        with self._changed:
            seen = self._seen.setdefault(version, [])
            if not self._changed.wait_for(lambda: len(seen) >= instances, DEADLINE_S):
                raise LoadFailed(f"{len(seen)} of {instances} instances saw a change within {DEADLINE_S:g} s")
            return list(seen)


def measure(
    directory: Path, *, rounds: int, say: Callable[[str], None], instances: int = INSTANCES
) -> list[Figure]:
    """Milliseconds from a publish to its effect on every instance, and microseconds a look-up."""
    catalogue = load_catalogue(None)
    medians: list[float] = []
    slowest: list[float] = []
    lookups: list[float] = []
    arrivals = Arrivals()
    with BrokerProcess(directory / "broker") as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        ensure_topics(connection, catalogue, "development")
        say(f"broadcast: {instances} instances start")
        with (
            Publisher(service=PUBLISHER, connection=connection, catalogue=catalogue) as publisher,
            running_instances(instances, connection, catalogue, arrivals) as started,
        ):
            # The first event also pays for the connections.
            _propagate(publisher, arrivals, 1, instances)
            for number in range(rounds):
                say(f"broadcast, round {number + 1} of {rounds}")
                first = 2 + number * CHANGES
                took = [
                    milliseconds
                    for version in range(first, first + CHANGES)
                    for milliseconds in _propagate(publisher, arrivals, version, instances)
                ]
                medians.append(percentile(took, 50))
                slowest.append(percentile(took, 99))
                lookups.append(lookup_us(started[0]))
    return [
        figure(PART, "propagation p50", samples=medians, unit="ms", better="less"),
        figure(PART, "propagation p99", samples=slowest, unit="ms", better="less", target=PROPAGATION_P99_MS),
        figure(PART, "resolve", samples=lookups, unit="µs", better="less", target=RESOLVE_US),
    ]


@contextmanager
def running_instances(
    count: int, connection: ConnectionOptions, catalogue: Catalogue, arrivals: Arrivals
) -> Iterator[list[Broadcast]]:
    """So many instances of all services, up to date; what they see is told to `arrivals`."""
    services = list(catalogue.services)
    with ExitStack() as running:
        instances = [
            running.enter_context(
                _instance(services[number % len(services)], number, connection, catalogue, arrivals)
            )
            for number in range(count)
        ]
        for instance in instances:
            if not instance.wait_current(DEADLINE_S):
                raise LoadFailed(f"{instance.service}/{instance.instance}: {instance.unready_reason}")
        yield instances


def _instance(
    service: str, number: int, connection: ConnectionOptions, catalogue: Catalogue, arrivals: Arrivals
) -> Broadcast:
    def changed() -> None:
        version = instance.resolve(KEY).version
        if version is not None:
            arrivals.saw(version)

    instance = Broadcast(
        service=service,
        instance=str(number),
        connection=connection,
        catalogue=catalogue,
        on_change=changed,
    )
    return instance


def _propagate(publisher: Publisher, arrivals: Arrivals, version: int, instances: int) -> list[float]:
    event = ConfigValueSet(key=KEY, level="global", value=version, version=version, actor_id="bench")
    started = time.perf_counter()
    publisher.publish(event, tenant=SYSTEM_TENANT)
    return [(seen - started) * 1000 for seen in arrivals.of(version, instances)]


def lookup_us(instance: Broadcast) -> float:
    """Microseconds a look-up: of the best series, for the others tell what else the machine did."""
    once = partial(instance.resolve, KEY, tenant=TENANT)
    return min(timeit.repeat(once, number=LOOKUPS, repeat=LOOKUP_SERIES)) / LOOKUPS * 1e6
