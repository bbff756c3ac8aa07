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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from trunkline.cli._parent import PARENT_PIPE
from trunkline.errors import Unavailable

READY_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 20.0
"""After SIGTERM a child finishes its batch in hand and syncs; after this long it is killed."""
BACKOFF_SECONDS: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Waits before a dead child is started again; the last one repeats. A child that lived long starts over."""
HEALTHY_SECONDS: Final = 30.0


class Child:
    """One supervised `trunkline` command that prints a JSON line on standard output when it is ready."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = list(arguments)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._failures_in_a_row = 0
        self._retry_at: float | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def replace_argument(self, flag: str, value: str) -> None:
        """Change an option for the next start."""
        self._arguments[self._arguments.index(flag) + 1] = value

    def start(self) -> dict[str, object]:
        """Start and wait for the ready line, which is returned.

        Raises `Unavailable` with the child's own last words if it ends or stays silent too long.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            begin = log.tell()
            process = subprocess.Popen(  # noqa: S603 - our own executable and our own arguments
                [sys.executable, "-m", "trunkline", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, PARENT_PIPE: "1"},
            )
        self._process, self._started_at = process, time.monotonic()
        line = _first_line(process)
        if line is None:
            self._end(process, signal.SIGKILL)
            raise Unavailable(f"{self.name} did not start: {self._last_words(begin)} (log: {self._log})")
        ready: dict[str, object] = msgspec.json.decode(line)
        return ready

    def watch(self, say: Callable[[str], None]) -> None:
        """Start the child again if it died, after a back-off. Never raises for a child's failure."""
        process = self._process
        if process is None or process.poll() is None:
            return
        now = time.monotonic()
        if self._retry_at is None:
            if now - self._started_at > HEALTHY_SECONDS:
                self._failures_in_a_row = 0
            wait = BACKOFF_SECONDS[min(self._failures_in_a_row, len(BACKOFF_SECONDS) - 1)]
            self._failures_in_a_row += 1
            self._retry_at = now + wait
            say(f"{self.name} ended ({_exit_text(process.returncode)}); starting again in {wait:g} s")
        elif now >= self._retry_at:
            self._retry_at = None
            self.restarts += 1
            try:
                self.start()
            except Unavailable as error:
                say(str(error))

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if that takes too long."""
        process, self._process = self._process, None
        if process is not None:
            self._end(process, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as a crash would; `watch` will start the child again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _end(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _last_words(self, begin: int) -> str:
        with self._log.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").split("\n")
        words = [line.removeprefix("error: ") for line in lines if line.strip()]
        return words[-1] if words else f"no answer within {READY_SECONDS_MAX:g} s"


def _first_line(process: subprocess.Popen[bytes]) -> bytes | None:
    """The first line of the child's output, or None if it ends or is silent too long. The rest is dropped."""
    lines: list[bytes] = []
    arrived = threading.Event()
    output = process.stdout
    assert output is not None

    def read() -> None:
        lines.append(output.readline())
        arrived.set()
        while output.read(65_536):
            pass

    threading.Thread(target=read, name="child-output", daemon=True).start()
    arrived.wait(READY_SECONDS_MAX)
    return lines[0] if lines and lines[0] else None


def _exit_text(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
