"""Child processes of `trunkline up` and `trunkline demo`: started, watched, restarted, stopped in order.

Each child is a `trunkline` command of its own, so that a crash of one takes nothing else along. Children are
shielded from the terminal's Ctrl-C, because their parent decides the order in which they stop.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from trunkline.cli._parent import PARENT_PIPE
from trunkline.errors import Unavailable

READY_SECONDS_MAX: Final = 60.0
"""Thirteen services that start at once on two cores take a while."""

STOP_SECONDS_MAX: Final = 20.0
"""After SIGTERM a child finishes its batch in hand and syncs; after this long it is killed."""
BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before a dead child is started again; the last one repeats. A child that lived long starts over."""
HEALTHY_SECONDS: Final = 30.0
STOP_POLL_SECONDS: Final = 0.1


OF_ONE_SERVICE: Final = frozenset({"TRUNKLINE_STORE", "TRUNKLINE_KEYS", "TRUNKLINE_INSTANCE_ID"})
"""Thirteen services that got these would all write one database, and throw each other out of their groups."""


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What several children may have of a parent's variables: all but those that are one service's own."""
    return {name: value for name, value in environment.items() if name not in OF_ONE_SERVICE}


class Interrupted(Exception):  # noqa: N818 - not an error
    """Somebody asked for the end before everything was up."""


class Child:
    """One supervised `trunkline` command that prints a JSON line on standard output when it is ready."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` are all its variables; without it they are what is `inherited` of this process's."""
        self.name = name
        self._arguments = list(arguments)
        self._environment = environment
        self._log = log
        self._running: _Running | None = None
        self._failures_in_a_row = 0
        self._retry_at: float | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        running = self._running
        return running.process.pid if running is not None and running.process.poll() is None else None

    def replace_argument(self, flag: str, value: str) -> None:
        """Change an option for the next start."""
        self._arguments[self._arguments.index(flag) + 1] = value

    def start(self) -> dict[str, object]:
        """Start and wait for the ready line, which is returned. Raises as `begin` and `ready`."""
        self.begin()
        return self.ready()

    def begin(self) -> None:
        """Start, and do not wait. Raises `Unavailable` if its log cannot be written."""
        self._running = self._spawn()

    def ready(self, stopping: threading.Event | None = None) -> dict[str, object]:
        """Wait for the ready line of a child that was begun.

        Raises `Unavailable` with the child's own complaint if it ends or stays silent too long, and
        `Interrupted` once `stopping` is set.
        """
        running = self._running
        assert running is not None
        line = running.first_line(READY_SECONDS_MAX, stopping)
        if not line:
            ended = running.process.poll()
            running.end(signal.SIGKILL)
            why = self._complaint(running.log_begin) or (
                f"no answer within {READY_SECONDS_MAX:g} s" if ended is None else _exit_text(ended)
            )
            raise Unavailable(f"{self.name} did not start: {why} (log: {self._log})")
        ready: dict[str, object] = msgspec.json.decode(line)
        return ready

    def watch(self, say: Callable[[str], None]) -> None:
        """Start the child again if it died, after a back-off. Does not wait until it is ready."""
        running = self._running
        if running is None or running.process.poll() is None:
            return
        now = time.monotonic()
        if self._retry_at is None:
            if now - running.started_at > HEALTHY_SECONDS:
                self._failures_in_a_row = 0
            wait = BACKOFF_SECONDS[min(self._failures_in_a_row, len(BACKOFF_SECONDS) - 1)]
            self._failures_in_a_row += 1
            self._retry_at = now + wait
            why = self._complaint(running.log_begin) or _exit_text(running.process.returncode)
            say(f"{self.name} ended ({why}); starting again in {wait:g} s")
        elif now >= self._retry_at:
            self._retry_at = None
            running.end(signal.SIGKILL)
            try:
                self._running = self._spawn()
            except Unavailable as error:
                say(str(error))

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if that takes too long."""
        running, self._running = self._running, None
        if running is not None:
            running.end(signal.SIGTERM)

    def _spawn(self) -> "_Running":
        """Raises `Unavailable` if there is no writing the log."""
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = self._log.open("ab")
        except OSError as error:
            raise Unavailable(
                f"{self.name} cannot keep its log at {self._log} ({error.strerror}); choose another directory"
            ) from error
        variables = inherited(os.environ) if self._environment is None else self._environment
        with output as log:
            begin = log.tell()
            process = subprocess.Popen(  # noqa: S603 - our own executable and our own arguments
                [sys.executable, "-m", "trunkline", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**variables, PARENT_PIPE: "1"},
            )
        return _Running(process, log_begin=begin)

    def _complaint(self, begin: int) -> str | None:
        """The error that the child printed since `begin`, if it did."""
        with self._log.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").split("\n")
        complaints = [found for line in lines if (found := _complaint_in(line)) is not None]
        return complaints[-1] if complaints else None


class _LastWord(msgspec.Struct):
    """What `_logging.keeping_a_log` writes of the error that ends a command."""

    exit_code: int
    error: str


class _Running:
    """One life of a child. Its output is read to the end, so that it never blocks on a full pipe."""

    def __init__(self, process: subprocess.Popen[bytes], *, log_begin: int) -> None:
        self.process = process
        self.log_begin = log_begin
        self.started_at = time.monotonic()
        self._first: bytes = b""
        self._arrived = threading.Event()
        self._reader = threading.Thread(target=self._read, name="child-output", daemon=True)
        self._reader.start()

    def first_line(self, seconds: float, stopping: threading.Event | None) -> bytes:
        """Empty if the child ends without one or is silent for so long. Raises `Interrupted`."""
        deadline = time.monotonic() + seconds
        while not self._arrived.wait(STOP_POLL_SECONDS) and time.monotonic() < deadline:
            if stopping is not None and stopping.is_set():
                raise Interrupted
        return self._first

    def end(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self._first = output.readline()
            self._arrived.set()
            while output.read(65_536):
                pass


def _complaint_in(line: str) -> str | None:
    """The error in a line of a child's log, if it is its last word: plain, or JSON where its log is."""
    if line.startswith("error: "):
        return line.removeprefix("error: ")
    try:
        return msgspec.json.decode(line, type=_LastWord).error
    except msgspec.MsgspecError:
        return None


def _exit_text(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
