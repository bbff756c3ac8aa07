"""Counts what consumers of a benchmark have applied."""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from trunkline.testing.bench.raw import LoadFailed

DEADLINE_S: Final = 90.0

Say: TypeAlias = Callable[[str], None]


class Tally:
    """Counts what was applied, and when the first and the last of it came."""

    def __init__(self, events: int) -> None:
        self.done = threading.Event()
        self._events = events
        self._seen = 0
        self._uncounted = 0
        self._first = self._last = 0.0

    def add(self, number: int) -> None:
        """A batch is durable. The first one was fetched before the clock could start, and is not counted."""
        now = time.perf_counter()
        self._seen += number
        if not self._first:
            self._first, self._uncounted = now, number
        if self._seen >= self._events and not self.done.is_set():
            self._last = now
            self.done.set()

    def rate(self) -> float:
        """Events a second. Raises `LoadFailed` if not all of them came."""
        if not self.done.is_set():
            raise LoadFailed(f"{self._seen} of {self._events} events were applied in time")
        return (self._seen - self._uncounted) / (self._last - self._first)
