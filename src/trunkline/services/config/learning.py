"""Compares the store with the topic before anything is changed.

A store that was restored from a backup, or lost, would give versions again that the topic has given already,
and its changes would be older than what every instance knows: they would never take effect.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from trunkline.client.broadcast.entries import Change, Entry, Name
from trunkline.client.broadcast.reading import WholeState
from trunkline.client.log import Log
from trunkline.client.outbox import rows
from trunkline.client.store import Store
from trunkline.services.config import book, parts

IDLE_SECONDS: Final = 3_600.0

_log = Log("trunkline.config")


class Learning:
    """The work of a `Worker`: once, at the start. Then `done`."""

    def __init__(
        self,
        store: Store,
        read: Callable[[], WholeState],
        *,
        wall: Callable[[], datetime],
        lacking: Callable[[], None],
    ) -> None:
        """`read` reads the whole topic; `lacking` is called when the topic lacks what the store has."""
        self._store = store
        self._read = read
        self._wall = wall
        self._lacking = lacking
        self._done = threading.Event()

    @property
    def done(self) -> bool:
        """Whether the store has everything that was in the topic at the start."""
        return self._done.is_set()

    def __call__(self) -> float:
        """Read the topic and take it in. Raises what `read` raises, and the store's errors."""
        if self._done.is_set():
            return IDLE_SECONDS
        topic = self._read().state.entries
        with self._store.read() as tx:
            # What waits in the outbox is not in the topic yet and will be.
            lacks = not rows.status(tx).pending and _lacks(topic, book.everything(tx))
        if learned := take_in(self._store, topic.items(), now=self._wall()):
            _log.warning("the topic had what the store did not", entries=learned)
        if lacks:
            _log.warning("the topic lacks what the store has, it is published again")
            self._lacking()
        self._done.set()
        return IDLE_SECONDS


def take_in(store: Store, changes: Iterable[Change], *, now: datetime) -> int:
    """Take in entries that are newer than the store's; returns how many. Raises the store's errors."""
    with store.read() as tx:
        newer = _newer(tx, changes)
    if not newer:
        return 0
    with store.write() as tx:
        book.lock(tx)
        newer = parts.without_ended(tx, _newer(tx, newer))
        book.merge(tx, ((change, now, None) for change in newer))
    return len(newer)


def _newer(tx: Connection, changes: Iterable[Change]) -> list[Change]:
    present = book.everything(tx)
    return [(name, entry) for name, entry in changes if _beats(entry, present.get(name))]


def _beats(entry: Entry, present: Entry | None) -> bool:
    return present is None or entry.beats(present)


def _lacks(topic: Mapping[Name, Entry], store: Mapping[Name, Entry]) -> bool:
    return any(_beats(entry, topic.get(name)) for name, entry in store.items())
