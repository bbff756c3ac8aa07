"""The backbone of one machine: a broker and its services as child processes on one data directory."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, cast

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import ServiceName
from trunkline.cli._common import Engine
from trunkline.cli._given import GivenCluster, reader_of
from trunkline.cli._processes import Child, Interrupted
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.errors import InvalidInput, Unavailable
from trunkline.services import RUNNABLE

if TYPE_CHECKING:
    from trunkline.cli._kafka import KafkaEngine

LOOPBACK: Final = "127.0.0.1"
BROKERS: Final = (1, 3)


class Process(Protocol):
    """A child as others see it."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""

    def watch(self, say: Callable[[str], None], /) -> None:
        """Start it again if it died, after its back-off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a stack is started with. On a cluster that is `given` no broker is started, nothing created."""

    data_dir: Path
    catalogue: Catalogue
    catalogue_file: Path | None
    host: str
    port: int
    durability: str = "fsync"
    engine: Engine = Engine.EMBEDDED
    brokers: int = 1
    kafka_home: Path | None = None
    services: tuple[str, ...] = tuple(RUNNABLE)
    api_port: int = 0
    given: GivenCluster | None = None

    def __post_init__(self) -> None:
        if self.engine is Engine.EMBEDDED:
            if self.brokers != 1:
                raise InvalidInput(
                    f"--brokers {self.brokers} needs --engine kafka: the embedded broker is one"
                )
            return
        if self.brokers not in BROKERS:
            raise InvalidInput(f"--brokers {self.brokers}: 1 or 3")
        if self.host != LOOPBACK:
            raise InvalidInput(f"--host {self.host}: Apache Kafka is started on {LOOPBACK} only")

    @property
    def environment(self) -> str:
        """The environment of the contract that this is."""
        if self.given is not None:
            return self.given.environment
        return "development" if self.brokers == 1 else "production"


class Stack:
    """Started as a context manager; `watch` must be called now and then, to start again what died.

    Entering raises `Interrupted` once `stopping` is set: what was started until then is ended.
    """

    def __init__(
        self, machine: Machine, *, say: Callable[[str], None], stopping: threading.Event | None = None
    ) -> None:
        self._machine = machine
        self._say = say
        self._stopping = stopping
        self._children: list[Child] = []
        self._kafka: KafkaEngine | None = None
        self.api_ports: dict[str, int] = {}
        self.bootstrap_servers = ""
        self.cluster_id = ""

    @property
    def services(self) -> Sequence[str]:
        """The names of its services, in the order of the catalogue."""
        return [name for name in self._machine.catalogue.services if name in self._machine.services]

    @property
    def connection(self) -> ConnectionOptions:
        return ConnectionOptions(bootstrap_servers=self.bootstrap_servers)

    def connection_of(self, service: str) -> ConnectionOptions:
        """How the service itself comes to the cluster."""
        given = self._machine.given
        return self.connection if given is None else given.connection(service)

    def reading(self, topic: str) -> ConnectionOptions:
        """How somebody comes who may read the topic."""
        return self.connection_of(reader_of(self._machine.catalogue, topic))

    @property
    def children(self) -> Sequence[Process]:
        """The brokers, then the services."""
        return (*(() if self._kafka is None else self._kafka.children), *self._children)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException as error:
            if isinstance(error, Interrupted):
                self._say("stopping what was started")
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def watch(self) -> None:
        """Start children that died, after their back-off."""
        for child in self.children:
            child.watch(self._say)

    def wait(self, until: Callable[[], bool], *, seconds: float) -> bool:
        """Watch over the children until a condition holds; False if it did not in time."""
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                return False
            self.watch()
            time.sleep(0.05)
        return True

    def _start(self) -> None:
        machine = self._machine
        if machine.given is not None:
            self.bootstrap_servers = machine.given.bootstrap_servers
        else:
            if machine.engine is Engine.KAFKA:
                self._start_kafka()
            else:
                self._start_embedded()
            ensure_topics(self.connection, machine.catalogue, machine.environment)
        self._require_free_ports()
        # All at once: each takes a second of a processor to import what it is made of.
        started = [(service, self._begin_service(service)) for service in self.services]
        for service, child in started:
            port = child.ready(self._stopping)["api_port"]
            if isinstance(port, int):
                self.api_ports[service] = port
                # Who knows its address finds it there again after a crash.
                child.replace_argument("--api-port", str(port))

    def _require_free_ports(self) -> None:
        """Before thirteen services start, the last of which would find it out. Raises `Unavailable`."""
        for service in self.services:
            port = self._api_port(service)
            try:
                socket.create_server((LOOPBACK, port)).close()
            except OSError as error:
                why = os.strerror(error.errno or 0)
                raise Unavailable(
                    f"API port {port} of {service}: {why}; choose another --api-port"
                ) from error

    def _api_port(self, service: str) -> int:
        place = list(self._machine.catalogue.services).index(ServiceName(service))
        return self._machine.api_port + place if self._machine.api_port else 0

    def _begin_service(self, service: str) -> Child:
        machine = self._machine
        arguments = ["--data-dir", str(machine.data_dir)]
        if machine.given is None:
            arguments += ["--bootstrap-servers", self.bootstrap_servers]
        arguments += ["--environment", machine.environment, "--api-port", str(self._api_port(service))]
        if machine.catalogue_file is not None:
            arguments += ["--catalogue", str(machine.catalogue_file)]
        known = None if machine.given is None else machine.given.surroundings(service)
        child = self._child("service", [service], arguments, name=service, environment=known)
        child.begin()
        return child

    @property
    def _has_embedded_broker(self) -> bool:
        return self._machine.given is None and self._machine.engine is Engine.EMBEDDED

    def _start_kafka(self) -> None:
        # Here, so that the embedded engine never loads what it does not need.
        from trunkline.cli._kafka import KafkaEngine

        machine = self._machine
        self._kafka = KafkaEngine(
            machine.data_dir / "kafka",
            brokers=machine.brokers,
            port=machine.port,
            kafka_home=machine.kafka_home,
        )
        self._kafka.start()
        self.bootstrap_servers, self.cluster_id = self._kafka.bootstrap_servers, self._kafka.cluster_id

    def _start_embedded(self) -> None:
        machine = self._machine
        ready = self._run(
            "broker",
            ["--data-dir", str(machine.data_dir / "broker"), "--host", machine.host],
            ["--port", str(machine.port), "--durability", machine.durability],
        )
        for finding in cast("list[str]", ready["findings"]):
            self._say(f"warning: {finding}")
        port = str(ready["port"])
        self.bootstrap_servers, self.cluster_id = f"{ready['host']}:{port}", str(ready["cluster_id"])
        # A broker that is started again must come back where its clients look for it.
        self._children[0].replace_argument("--port", port)

    def _run(self, command: str, *arguments: Sequence[str]) -> dict[str, object]:
        return self._child(command, *arguments).start()

    def _child(
        self,
        command: str,
        *arguments: Sequence[str],
        name: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Child:
        log = self._machine.data_dir / "logs" / f"{name or command}.log"
        flat = [argument for part in arguments for argument in part]
        child = Child(name or command, [command, *flat, "--json"], log=log, environment=environment)
        self._children.append(child)
        return child

    def _stop(self) -> None:
        """Services before the broker, so that they can commit what they have in hand."""
        services = self._children[1:] if self._has_embedded_broker else self._children
        with ThreadPoolExecutor(max_workers=max(1, len(services))) as stopping:
            list(stopping.map(Child.stop, services))
        for child in self._children[: len(self._children) - len(services)]:
            child.stop()
        self._children.clear()
        if self._kafka is not None:
            self._kafka.stop()
