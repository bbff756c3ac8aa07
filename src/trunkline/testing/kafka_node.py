"""One Kafka broker as a process: start it, end it, freeze it, cut its clients off."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.errors import TrunklineError
from trunkline.testing import kafka_keeper
from trunkline.testing.kafka_config import JVM_OPTIONS, LOG4J, Node, render
from trunkline.testing.kafka_jars import KafkaJars
from trunkline.testing.kafka_leaders import view
from trunkline.testing.proxy import FaultProxy

READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 40.0
"""A clean stop hands leadership over first; after this long the broker is killed."""
LOOK_SECONDS: Final = 0.05
FORMAT_SECONDS_MAX: Final = 60.0

META: Final = "meta.properties"
BOOTSTRAP: Final = "bootstrap.checkpoint"
"""What formatting leaves in a data directory; the first is written last."""


class KafkaDidNotStart(TrunklineError):  # noqa: N818 - named for what happened
    """A broker ended or stayed silent; the text is what its log complains of."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """Where one node keeps what."""

    root: Path

    @property
    def settings(self) -> Path:
        return self.root / "server.properties"

    @property
    def log(self) -> Path:
        return self.root / "server.log"

    @property
    def output(self) -> Path:
        """What the JVM itself says."""
        return self.root / "jvm.log"

    @property
    def log4j(self) -> Path:
        return self.root / "log4j2.xml"

    @property
    def data(self) -> Path:
        return self.root / "data"


class KafkaBroker:
    """A broker of a `KafkaCluster`. All calls that wait have a deadline and raise `KafkaDidNotStart`."""

    def __init__(
        self, node: Node, jars: KafkaJars, *, settings: dict[str, str], proxy: FaultProxy | None
    ) -> None:
        self.number = node.number
        self.proxy = proxy
        self._node = node
        self._jars = jars
        self._settings = settings
        self._files = NodeFiles(node.data.parent)
        self._keeper: subprocess.Popen[str] | None = None
        self._jvm: int | None = None

    @property
    def address(self) -> str:
        """Where clients connect: the proxy, if there is one."""
        return f"{self._node.host}:{self._node.advertised}"

    @property
    def internal_address(self) -> str:
        """Past proxy and passwords: for the tests themselves."""
        return f"{self._node.host}:{self._node.ports.internal}"

    @property
    def log_file(self) -> Path:
        """The broker's own log."""
        return self._files.log

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        return self._jvm if self.running else None

    @property
    def running(self) -> bool:
        """The process has not ended; a paused one counts as running."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last life; above 128 it is 128 and the number of a signal."""
        return None if self._keeper is None else self._keeper.poll()

    def start(self) -> None:
        """Start and wait until it serves."""
        self.launch()
        self.wait_ready({self.number})

    def launch(self) -> None:
        """Start, without waiting. Fine when it runs."""
        if self.running:
            return
        self._close()
        self._write_settings()
        files = self._files
        self._keeper = _keep(self._java("kafka.Kafka", str(files.settings)), files.output)
        assert self._keeper.stdout is not None
        first = self._keeper.stdout.readline().strip()
        if not first:
            raise KafkaDidNotStart(f"broker {self.number} did not start: {self.why()}")
        self._jvm = int(first)

    def format(
        self, cluster_id: str, *, like: "KafkaBroker | None" = None, users: Sequence[str] = ()
    ) -> None:
        """Prepare an empty data directory for a cluster; does nothing when it is prepared.

        `users` are the tool's arguments that add users with SCRAM. With `like`, a broker of the same cluster
        that is prepared, no second JVM is needed for it.
        """
        data = self._files.data
        if (data / META).exists():
            return
        self._write_settings()
        if like is not None:
            data.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(like._files.data / BOOTSTRAP, data / BOOTSTRAP)
            (data / META).write_text(
                render({"version": "1", "cluster.id": cluster_id, "node.id": str(self.number)})
                + render({"directory.id": new_id()})
            )
            return
        arguments = ("format", "-t", cluster_id, "-c", str(self._files.settings), *users)
        done = subprocess.run(  # noqa: S603 - the java and the jars that were found
            self._java("kafka.tools.StorageTool", *arguments),
            capture_output=True,
            text=True,
            timeout=FORMAT_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            why = _telling((done.stdout + done.stderr).splitlines())
            raise KafkaDidNotStart(f"the storage of broker {self.number} cannot be formatted: {why}")

    def _write_settings(self) -> None:
        files = self._files
        files.root.mkdir(parents=True, exist_ok=True)
        files.settings.write_text(render(self._settings))
        files.log4j.write_text(LOG4J.format(file=files.log))

    def wait_ready(self, brokers: set[int], *, seconds: float = READY_SECONDS_MAX) -> None:
        """Wait until it answers and knows all `brokers` as alive."""
        deadline = time.monotonic() + seconds
        while not self._knows(brokers):
            if not self.running:
                raise KafkaDidNotStart(f"broker {self.number} ended (code {self.exit_code}): {self.why()}")
            if time.monotonic() > deadline:
                raise KafkaDidNotStart(f"broker {self.number} was not ready in {seconds:g} s: {self.why()}")
            time.sleep(LOOK_SECONDS)

    def _knows(self, brokers: set[int]) -> bool:
        try:
            return brokers <= view(self.internal_address).brokers
        except OSError:
            return False

    def restart(self) -> None:
        """Start it again on the same data; killed first if it runs."""
        self.kill()
        self.start()

    def kill(self) -> None:
        """End it at once (SIGKILL), paused or not. Fine when it has ended."""
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it cleanly (SIGTERM), so that it hands its partitions over first. Fine when it has ended."""
        self.ask_to_stop()
        self._wait()

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting; a paused broker goes on, so that it can obey."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def pause(self) -> None:
        """Freeze it (SIGSTOP); after some seconds the cluster takes it for dead."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def cut(self, *, silently: bool = False) -> None:
        """Cut it off from clients: connections dropped and refused or, `silently`, kept and swallowed.

        Its peers still see it, so it goes on as a leader that nobody reaches.
        """
        link = self._link()
        if silently:
            link.black_hole()
        else:
            link.cut()

    def mend(self) -> None:
        """Let clients through again, without delay."""
        self._link().mend()

    def delay(self, seconds: float) -> None:
        """Hold all that goes between clients and this broker for so long in each direction; 0 ends it."""
        self._link().delay(seconds)

    def why(self) -> str:
        """One line: what its log complains of last, or the JVM's own output, and where to read on."""
        for log in (self._files.log, self._files.output):
            with suppress(OSError):
                if lines := log.read_text(errors="replace").splitlines():
                    return f"{_telling(lines)} (log: {log})"
        return f"it said nothing (log: {self._files.log})"

    def _link(self) -> FaultProxy:
        if self.proxy is None:
            raise TrunklineError("this cluster was started without proxies, so clients cannot be cut off")
        return self.proxy

    def _java(self, program: str, *arguments: str) -> list[str]:
        jars = self._jars
        log = f"-Dlog4j2.configurationFile={self._files.log4j}"
        return [str(jars.java), *JVM_OPTIONS, log, "-cp", jars.class_path, program, *arguments]

    def _signal(self, number: signal.Signals) -> None:
        """To the JVM, not to its keeper, which ends with it."""
        keeper, jvm = self._keeper, self._jvm
        if keeper is not None and jvm is not None and keeper.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(jvm, number)

    def _wait(self) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._keeper.wait()
        self._close()

    def _close(self) -> None:
        if self._keeper is not None:
            for stream in (self._keeper.stdin, self._keeper.stdout):
                if stream is not None:
                    stream.close()


def _keep(command: list[str], output: Path) -> "subprocess.Popen[str]":
    """Shielded from the terminal's Ctrl-C: the cluster decides in which order its brokers end."""
    with output.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own script and the java that was found
            [sys.executable, "-I", "-S", kafka_keeper.__file__, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def new_id() -> str:
    """As Kafka writes ids. One that begins with a dash would be taken for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _telling(lines: Sequence[str]) -> str:
    """The last complaint and the exception below it, in one line."""
    wanted = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("at ")]
    at = [number for number, line in enumerate(wanted) if " ERROR " in line or "Exception" in line]
    return " / ".join(wanted[at[-1] - 1 : at[-1] + 1] if at else wanted[-1:])
