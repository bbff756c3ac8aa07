"""Waiting for a change of what a lock guards, by threads that may be interrupted."""

import threading
import time as clock
from collections.abc import Callable
from typing import Final


class Changed:
    """As a `threading.Condition`, whose `wait_for` is called without the lock.

    An interrupt (Ctrl-C) may come between any two steps of the main thread. While a condition enters itself
    it would leave the lock taken for ever, and while one begins to wait, released twice. Here nothing is to
    be undone at either moment: a lock enters and leaves a `with` by itself, and waiting is done outside of
    it.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.lock: Final = lock
        self._waiting: list[threading.Lock] = []

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until it is so, for `timeout` seconds at the most, and return whether it is.

        The predicate is asked under the lock, at once and after every change.
        """
        deadline = None if timeout is None else clock.monotonic() + timeout
        while True:
            told = threading.Lock()
            told.acquire()
            with self.lock:
                if predicate():
                    return True
                self._waiting.append(told)
            if deadline is None:
                told.acquire()
            elif not told.acquire(timeout=max(deadline - clock.monotonic(), 0)):
                with self.lock:
                    if told in self._waiting:
                        self._waiting.remove(told)
                    return predicate()

    def notify_all(self) -> None:
        """Under the lock: have everyone who waits look again."""
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            told.release()
