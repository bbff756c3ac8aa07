"""The two engines under torture, behind one interface: what a fault of a broker means on each."""

import random
import resource
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Final, Protocol

from trunkline.errors import TrunklineError
from trunkline.testing.kafka import KafkaCluster
from trunkline.testing.processes import TRUNKLINE, BrokerProcess
from trunkline.testing.proxy import FaultProxy
from trunkline.testing.torture.players import tethered
from trunkline.testing.torture.schedule import Kind

DELAY_SECONDS: Final = 0.25
FULL_BYTES: Final = 16_384
"""On a full disk no file grows beyond this: the limit of the broker's process is set while it runs."""

PORTS: Final = range(20_000, 32_000)
"""Below what systems hand out to outgoing connections, so that nothing takes a killed broker's port."""

_OF_ANY_BROKER: Final = frozenset(
    {
        Kind.KILL_BROKER,
        Kind.RESTART_BROKER,
        Kind.PAUSE_BROKER,
        Kind.CUT_BROKER,
        Kind.SWALLOW_BROKER,
        Kind.DELAY_BROKER,
        Kind.FILL_BROKER_DISK,
    }
)


class Engine(Protocol):
    """A running cluster that can be hurt. `relieve` ends a fault, also one that passes by itself.

    Both raise `TrunklineError` or `OSError` when the fault could not be done.
    """

    @property
    def bootstrap_servers(self) -> str: ...

    @property
    def kinds(self) -> frozenset[Kind]: ...

    @property
    def replication_factor(self) -> int: ...

    def strike(self, kind: Kind, broker: int) -> None: ...

    def relieve(self, kind: Kind, broker: int) -> None: ...

    def close(self) -> None: ...


class TetheredBroker(BrokerProcess):
    """The embedded broker, which dies with this process."""

    def launcher(self) -> tuple[str, ...]:
        return tethered(TRUNKLINE)


class EmbeddedEngine:
    """One embedded broker behind a proxy."""

    replication_factor: ClassVar = 1
    kinds: ClassVar = _OF_ANY_BROKER

    def __init__(self, directory: Path) -> None:
        """Raises `ProcessFailed` if the broker does not come up."""
        self._open = ExitStack()
        with ExitStack() as undo:
            undo.callback(self._open.close)
            port = _free_port()
            self._proxy = self._open.enter_context(FaultProxy(f"127.0.0.1:{port}"))
            self._broker = self._open.enter_context(
                TetheredBroker(directory, "--advertised", self._proxy.address, port=port)
            )
            undo.pop_all()
        self.bootstrap_servers = self._proxy.address

    def strike(self, kind: Kind, broker: int) -> None:  # noqa: ARG002 - there is one
        """See `Engine`."""
        strikes: Mapping[Kind, Callable[[], object]] = {
            Kind.KILL_BROKER: self._broker.kill,
            Kind.RESTART_BROKER: self._broker.terminate,
            Kind.PAUSE_BROKER: self._broker.pause,
            Kind.CUT_BROKER: self._proxy.cut,
            Kind.SWALLOW_BROKER: self._proxy.black_hole,
            Kind.DELAY_BROKER: lambda: self._proxy.delay(DELAY_SECONDS),
            Kind.FILL_BROKER_DISK: lambda: limit_files(self._broker.pid, FULL_BYTES),
        }
        strikes[kind]()

    def relieve(self, kind: Kind, broker: int) -> None:  # noqa: ARG002 - there is one
        """See `Engine`."""
        if kind is Kind.PAUSE_BROKER:
            self._broker.resume()
        elif kind in {Kind.CUT_BROKER, Kind.SWALLOW_BROKER, Kind.DELAY_BROKER}:
            self._proxy.mend()
        elif kind is Kind.FILL_BROKER_DISK and self._broker.running:
            limit_files(self._broker.pid, None)
        if not self._broker.running:
            self._broker.restart()

    def close(self) -> None:
        """End it."""
        self._open.close()


class KafkaEngine:
    """A real cluster."""

    kinds: ClassVar = _OF_ANY_BROKER | {Kind.MOVE_LEADERS}

    def __init__(self, directory: Path, *, brokers: int, topic: str, seed: int) -> None:
        """Raises `KafkaMissing` without Java or the jars, and what `KafkaCluster` raises."""
        self._cluster = KafkaCluster(directory, brokers=brokers)
        self._topic = topic
        self._chance = random.Random(seed)  # noqa: S311 - the same moves for the same seed
        self._cluster.__enter__()
        self.bootstrap_servers = self._cluster.bootstrap_servers
        self.replication_factor = brokers

    def strike(self, kind: Kind, broker: int) -> None:
        """See `Engine`."""
        victim = self._cluster.brokers[broker]
        strikes: Mapping[Kind, Callable[[], object]] = {
            Kind.KILL_BROKER: victim.kill,
            Kind.RESTART_BROKER: victim.ask_to_stop,
            Kind.PAUSE_BROKER: victim.pause,
            Kind.CUT_BROKER: victim.cut,
            Kind.SWALLOW_BROKER: lambda: victim.cut(silently=True),
            Kind.DELAY_BROKER: lambda: victim.delay(DELAY_SECONDS),
            Kind.FILL_BROKER_DISK: lambda: limit_files(victim.pid, FULL_BYTES),
            Kind.MOVE_LEADERS: self._move_leader,
        }
        strikes[kind]()

    def relieve(self, kind: Kind, broker: int) -> None:
        """See `Engine`. A broker that starts again is not waited for: the cluster has two others."""
        victim = self._cluster.brokers[broker]
        if kind is Kind.PAUSE_BROKER:
            victim.resume()
        elif kind in {Kind.CUT_BROKER, Kind.SWALLOW_BROKER, Kind.DELAY_BROKER}:
            victim.mend()
        elif kind is Kind.RESTART_BROKER:
            victim.stop()
        elif kind is Kind.FILL_BROKER_DISK and victim.running:
            limit_files(victim.pid, None)
        victim.launch()

    def close(self) -> None:
        """End it."""
        self._cluster.close()

    def _move_leader(self) -> None:
        seat = self._cluster.seat_of(self._topic, partition := self._chance.randrange(3))
        others = [number for number in seat.replicas if number != seat.leader]
        if others:
            self._cluster.move_leader(self._topic, partition, self._chance.choice(others))


def limit_files(pid: int | None, size: int | None) -> None:
    """Let a process write no file beyond so many bytes, None for no limit. Raises `TrunklineError`.

    A write that reaches the limit is cut short, and the next one fails, as on a full disk.
    """
    if pid is None:
        raise TrunklineError("the broker does not run")
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _free_port() -> int:
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise TrunklineError(f"no free port between {PORTS.start} and {PORTS.stop}")
