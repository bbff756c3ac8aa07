"""`trunkline` commands as processes of their own, for tests, the demo, the fault runs and the benchmark.

    with BrokerProcess(data_dir) as broker:
        produce_to(broker.address)
        broker.kill()
        broker.restart()        # the same directory, the same port

Everything here waits with a deadline and ends only what it started.
"""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from trunkline.errors import TrunklineError

READY_DEADLINE_S: Final = 20.0
STOP_DEADLINE_S: Final = 20.0
OUTPUT_LINES_MAX: Final = 2000
"""How much of a process's output is kept; it is always read, so that a process never blocks on its pipe."""

TRUNKLINE: Final = (sys.executable, "-m", "trunkline")


class ProcessFailed(TrunklineError):  # noqa: N818 - named for what happened
    """A process did not come up, ended by itself or did not stop in time; the text ends with its output."""


class Output:
    """What a stream of a process printed last. A thread reads it, so that waiting can have a deadline."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: deque[str] = deque(maxlen=OUTPUT_LINES_MAX)
        self._changed = threading.Condition()
        self._ended = False
        self._stream = stream
        self._thread = threading.Thread(target=self._read, daemon=True, name="output")
        self._thread.start()

    def _read(self) -> None:
        with self._stream as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """The lines so far."""
        with self._changed:
            return "\n".join(self._lines)

    @property
    def ended(self) -> bool:
        """Nothing more will come."""
        with self._changed:
            return self._ended

    def wait_line(self, wanted: Callable[[str], bool], *, timeout_s: float) -> str | None:
        """The first line that is `wanted`; None when the stream ends or the time is over before it comes."""
        found: list[str] = []

        def settled() -> bool:
            found[:] = [line for line in self._lines if wanted(line)][:1]
            return bool(found) or self._ended

        with self._changed:
            self._changed.wait_for(settled, timeout_s)
        return found[0] if found else None

    def join(self, *, timeout_s: float) -> None:
        """Wait until the stream has ended and its last line is here."""
        self._thread.join(timeout_s)


class CommandProcess:
    """One `trunkline` command, started on construction; a context manager that ends it.

    `ready` says which line of standard output means that the command does its work; without it the process
    counts as ready when it runs. Raises `ProcessFailed` when that line does not come in time.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        ready: Callable[[str], bool] | None = None,
        ready_deadline_s: float = READY_DEADLINE_S,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.arguments = tuple(arguments)
        self.ready_line = ""
        self._ready = ready
        self._ready_deadline_s = ready_deadline_s
        self._environment = dict(environment or {})
        self._start()

    def launcher(self) -> Sequence[str]:
        """What the arguments are given to."""
        return TRUNKLINE

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            [*self.launcher(), *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment},
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout = Output(self._process.stdout)
        self.stderr = Output(self._process.stderr)
        if self._ready is None:
            return
        line = self.stdout.wait_line(self._ready, timeout_s=self._ready_deadline_s)
        if line is None:
            ended = self._exit_code(grace_s=STOP_DEADLINE_S if self.stdout.ended else 0)
            self.kill()
            happened = "did not become ready in time" if ended is None else f"ended with code {ended}"
            raise ProcessFailed(f"`{self}` {happened}: {self.stderr.text or self.stdout.text}")
        self.ready_line = line

    def _exit_code(self, *, grace_s: float) -> int | None:
        try:
            return self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return None

    def __str__(self) -> str:
        return " ".join(("trunkline", *self.arguments))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """The process has not ended."""
        return self._process.poll() is None

    def wait(self, *, timeout_s: float = STOP_DEADLINE_S) -> int:
        """Wait for the process to end by itself; returns its exit code. Raises `ProcessFailed`."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(f"`{self}` did not end within {timeout_s:g} s: {self.stderr.text}") from None
        self.stdout.join(timeout_s=timeout_s)
        self.stderr.join(timeout_s=timeout_s)
        return code

    def terminate(self, *, timeout_s: float = STOP_DEADLINE_S) -> int:
        """Ask the process to stop (SIGTERM); returns its exit code. Raises `ProcessFailed`."""
        self._signal(signal.SIGTERM)
        return self.wait(timeout_s=timeout_s)

    def interrupt(self) -> None:
        """What Ctrl-C does (SIGINT); a process does not see it if this one ignores it."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End the process at once (SIGKILL) and wait until the system has let go of it."""
        self._signal(signal.SIGKILL)
        self.wait()

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start the same command again; the process has ended or is killed."""
        self.kill()
        self._start()

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class BrokerReady(msgspec.Struct, frozen=True):
    """The line `trunkline broker --json` prints when clients can connect."""

    host: str
    port: int
    cluster_id: str
    data_dir: str


class BrokerProcess(CommandProcess):
    """`trunkline broker` on a port of its own; a restart keeps directory and port."""

    def __init__(
        self,
        data_dir: Path,
        *options: str,
        port: int = 0,
        ready_deadline_s: float = READY_DEADLINE_S,
    ) -> None:
        self.data_dir = data_dir
        command = ["broker", "--json", "--data-dir", str(data_dir), *options, "--port"]
        super().__init__(
            [*command, str(port)],
            ready=lambda line: line.startswith("{"),
            ready_deadline_s=ready_deadline_s,
        )
        self.port = self.info.port
        self.arguments = (*command, str(self.port))

    @property
    def info(self) -> BrokerReady:
        """What the broker said when it became ready."""
        return msgspec.json.decode(self.ready_line, type=BrokerReady)

    @property
    def address(self) -> str:
        """`host:port`, for a client's bootstrap servers."""
        return f"{self.info.host}:{self.port}"
