"""Publishes everything on record again, well before the topic's retention forgets it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client import failpoints
from trunkline.client.broadcast.snapshot import snapshot_events
from trunkline.client.outbox import Outbox
from trunkline.client.store import Store
from trunkline.codec import derive_id
from trunkline.services.config import book
from trunkline.services.config.tables import CONFIG_ENTRY, CONFIG_SNAPSHOT

LOOK_SECONDS: Final = 30.0
KEPT_MAX: Final = 100
"""Of the list of snapshots; the snapshots themselves are in the topic."""

_T: Final = CONFIG_SNAPSHOT.c


class Snapshots:
    """The work of a `Worker`: one snapshot an interval, whichever instance comes first.

    The first is due an interval after the oldest entry: until then the topic has everything anyway.
    """

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        *,
        every: timedelta,
        wall: Callable[[], datetime],
        wake: Callable[[], None],
        ready: Callable[[], bool],
    ) -> None:
        """`wake` is called when one was committed; none is made while not `ready`."""
        self._store = store
        self._outbox = outbox
        self._every = every
        self._wall = wall
        self._wake = wake
        self._ready = ready
        self._wanted = threading.Event()

    def want(self) -> None:
        """Make one as soon as possible: the topic is known to lack something."""
        self._wanted.set()

    def __call__(self) -> float:
        """Make one if it is due; returns in how many seconds to look again."""
        if not self._ready():
            return 1.0
        wanted = self._wanted.is_set()
        if not wanted and not self._is_due():
            return LOOK_SECONDS
        with self._store.write() as tx:
            book.lock(tx)
            # Another instance may have made it while this one waited for the lock.
            made = (wanted or self._due(tx)) and publish(tx, self._outbox, now=self._wall())
            failpoints.reach("config.snapshot_added")
        self._wanted.clear()
        if made:
            self._wake()
        return LOOK_SECONDS

    def _is_due(self) -> bool:
        with self._store.read() as tx:
            return self._due(tx)

    def _due(self, tx: Connection) -> bool:
        last = tx.execute(select(func.max(_T.at_us))).scalar()
        if last is None:
            last = tx.execute(select(func.min(CONFIG_ENTRY.c.updated_us))).scalar()
        return last is not None and self._wall() >= book.from_us(last) + self._every


def publish(tx: Connection, outbox: Outbox, *, now: datetime) -> bool:
    """Add a snapshot of everything to the outbox; False when there is nothing. The lock must be held."""
    found = book.everything(tx)
    if not found:
        return False
    last = tx.execute(select(func.max(_T.version))).scalar() or 0
    version = max(last + 1, int(now.timestamp() * 1000))
    snapshot_id = f"snap-{version}"
    parts = snapshot_events(found, snapshot_id=snapshot_id, version=version)
    for part in parts:
        outbox.emit(
            tx,
            part,
            tenant=SYSTEM_TENANT,
            id=derive_id(outbox.source, snapshot_id, str(part.part)),
            time=now,
        )
    row = {
        "snapshot_id": snapshot_id,
        "version": version,
        "entries": len(found),
        "parts": len(parts),
        "digest": parts[0].digest,
        "at_us": book.to_us(now),
    }
    tx.execute(insert(CONFIG_SNAPSHOT), [row])
    kept = select(_T.snapshot_id).order_by(_T.at_us.desc(), _T.snapshot_id.desc()).limit(KEPT_MAX)
    tx.execute(delete(CONFIG_SNAPSHOT).where(_T.snapshot_id.not_in(kept)))
    return True
