"""Log lines that others could cause in any number: a port scan or a full disk must not fill the log."""

import logging
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 10.0


class Complaints:
    """At most one line in `INTERVAL_S`, which says how many were withheld since the one before."""

    __slots__ = ("_last_s", "_log", "_now_s", "_open", "_withheld")

    def __init__(self, log: logging.Logger, now_s: Callable[[], float]) -> None:
        """`now_s` is any clock that does not go back."""
        self._log = log
        self._now_s = now_s
        self._last_s = float("-inf")
        self._withheld = 0
        self._open = False

    def say(self, message: str, *arguments: object) -> None:
        """Log a warning, or count it."""
        now_s = self._now_s()
        if now_s - self._last_s < INTERVAL_S:
            self._withheld += 1
            return
        withheld = f" (and {self._withheld} more before)" if self._withheld else ""
        self._last_s, self._withheld = now_s, 0
        self._open = True
        self._log.warning(message + withheld, *arguments)

    def over(self, message: str) -> None:
        """Log that the cause is gone, once after each line of `say`; cheap when there was none."""
        if self._open:
            self._open = False
            self._log.warning(message)
