"""The processes of a run: started, killed, paused, and started again when they end by themselves.

They must be started by the main thread, because they die with the thread that started them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trunkline.errors import Unavailable
from trunkline.testing.torture import tether

END_SECONDS_MAX: Final = 40.0
"""A consumer may take its whole time to stop."""

REVIVE_SECONDS: Final = 0.5
ACTOR: Final = (sys.executable, "-m", "trunkline.testing.torture.actor")


def tethered(command: Sequence[str]) -> tuple[str, ...]:
    """The same command, killed by the kernel when this thread ends."""
    return (sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command)


class Player:
    """One process with a role. It should run unless it was killed, or has come to its end with code 0."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path) -> None:
        self.name = name
        self.deaths: list[str] = []
        """How it ended when nobody had asked for it, with its last words."""
        self.gave_up = 0
        """How often it ended because the cluster or the store was away, for its owner to start it again."""
        self._command = tethered(command)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._revive_at: float | None = None

    @property
    def running(self) -> bool:
        """The process is there, if perhaps paused."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it did."""
        return None if self._process is None else self._process.poll()

    @property
    def done(self) -> bool:
        """It has come to its end."""
        return self.exit_code == 0

    def start(self) -> None:
        """Start; fine when it runs or is done."""
        if self.running or self.done:
            return
        with self._log.open("ab") as log:
            # A session of its own: the terminal's Ctrl-C is for the run, which ends everything in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own arguments
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._revive_at = None

    def kill(self) -> None:
        """SIGKILL, and wait."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal if it runs."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    def end(self) -> None:
        """Ask it to finish and wait; one that does not is killed, which counts as a death."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        if self._process is None:
            return
        try:
            code = self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill()
            self.deaths.append(f"{self.name} did not stop within {END_SECONDS_MAX:g} s")
            return
        if code != 0:
            self._record_death(code)

    def revive(self) -> None:
        """Start it again if it ended by itself, after a moment, as an orchestrator of containers does."""
        if self.running or self.done or self._process is None:
            return
        now = time.monotonic()
        if self._revive_at is None:
            self._revive_at = now + REVIVE_SECONDS
            self._record_death(self._process.returncode)
        elif now >= self._revive_at:
            self.start()

    def _record_death(self, code: int) -> None:
        if code == Unavailable.exit_code:
            self.gave_up += 1
            return
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        complaints = [line for line in lines if line.startswith("error: ")] or lines
        self.deaths.append(
            f"{self.name} ended with code {code}: {complaints[-1] if complaints else 'silently'}"
        )
