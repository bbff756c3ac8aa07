"""Who waits for new records of which partition. The event-driven half of a fetch's long poll.

A fetch that finds too little leaves a `Wait` here. Whoever makes records visible calls `arrived`; a wait
whose missing bytes have come is woken once and removed, and its owner looks again. Time-outs belong to the
owner.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Wait(Generic[Key]):
    """One reader that waits for `missing_bytes` more in any of its partitions."""

    __slots__ = ("keys", "missing_bytes", "wake")

    def __init__(self, keys: Iterable[Key], missing_bytes: int, wake: Callable[[], None]) -> None:
        self.keys = tuple(keys)
        self.missing_bytes = missing_bytes
        self.wake = wake


class Waiters(Generic[Key]):
    """The waits of all readers, by partition."""

    def __init__(self) -> None:
        self._waits: dict[Key, set[Wait[Key]]] = {}

    def __len__(self) -> int:
        return len({wait for waits in self._waits.values() for wait in waits})

    def add(self, wait: Wait[Key]) -> None:
        """Have `wait` woken once its bytes have come."""
        for key in wait.keys:
            self._waits.setdefault(key, set()).add(wait)

    def remove(self, wait: Wait[Key]) -> None:
        """Forget `wait`; it is fine if it was woken already."""
        for key in wait.keys:
            waits = self._waits.get(key)
            if waits is not None:
                waits.discard(wait)
                if not waits:
                    del self._waits[key]

    def arrived(self, key: Key, nbytes: int) -> None:
        """`nbytes` more became visible in partition `key`."""
        waits = self._waits.get(key)
        if waits is None:
            return
        woken = []
        for wait in waits:
            wait.missing_bytes -= nbytes
            if wait.missing_bytes <= 0:
                woken.append(wait)
        self._wake(woken)

    def changed(self, key: Key) -> None:
        """Partition `key` is not what it was (deleted, failed): its readers must look again now."""
        self._wake(list(self._waits.get(key, ())))

    def release(self) -> None:
        """Wake every reader; the broker stops."""
        self._wake(list({wait for waits in self._waits.values() for wait in waits}))

    def _wake(self, waits: list[Wait[Key]]) -> None:
        # All are removed before the first is woken: waking runs a fetch, which may wait here again.
        for wait in waits:
            self.remove(wait)
        for wait in waits:
            wait.wake()
