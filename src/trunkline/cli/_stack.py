"""The backbone of one machine: a broker and its services as child processes on one data directory."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, cast

from trunkline.catalogue.model import Catalogue
from trunkline.cli._processes import Child
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions

SERVICES: Final = ("audit-service",)
"""The services that run today; the others follow."""

ENVIRONMENT: Final = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a stack is started with."""

    data_dir: Path
    catalogue: Catalogue
    catalogue_file: Path | None
    host: str
    port: int
    durability: str = "fsync"


class Stack:
    """Started as a context manager; `watch` must be called now and then, to start again what died."""

    def __init__(self, machine: Machine, *, say: Callable[[str], None]) -> None:
        self._machine = machine
        self._say = say
        self._children: list[Child] = []
        self.bootstrap_servers = ""
        self.cluster_id = ""

    @property
    def connection(self) -> ConnectionOptions:
        return ConnectionOptions(bootstrap_servers=self.bootstrap_servers)

    @property
    def children(self) -> Sequence[Child]:
        """The broker, then the services."""
        return tuple(self._children)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def watch(self) -> None:
        """Start children that died, after their back-off."""
        for child in self._children:
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
        ensure_topics(self.connection, machine.catalogue, ENVIRONMENT)
        for service in SERVICES:
            arguments = ["--bootstrap-servers", self.bootstrap_servers, "--data-dir", str(machine.data_dir)]
            if machine.catalogue_file is not None:
                arguments += ["--catalogue", str(machine.catalogue_file)]
            self._run("service", [service], arguments, name=service)

    def _run(self, command: str, *arguments: Sequence[str], name: str | None = None) -> dict[str, object]:
        log = self._machine.data_dir / "logs" / f"{name or command}.log"
        flat = [argument for part in arguments for argument in part]
        child = Child(name or command, [command, *flat, "--json"], log=log)
        self._children.append(child)
        return child.start()

    def _stop(self) -> None:
        """Services before the broker, so that they can commit what they have in hand."""
        while self._children:
            self._children.pop().stop()
