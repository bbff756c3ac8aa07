"""What is done beside the queries: those that lost their engine are given up, the log is kept bounded, and
the data of ended tenants goes."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from trunkline.client.log import Log
from trunkline.client.outbox import Outbox
from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.kit.ending import ended_among
from trunkline.services.query import log
from trunkline.services.query.databases import Databases
from trunkline.services.query.emitting import Narrator
from trunkline.services.query.limits import QuerySettings

SWEEP_SECONDS: Final = 5.0
OVERDUE_AT_ONCE: Final = 100
LOST: Final = "engine_lost"
LOST_MESSAGE: Final = "the process that ran it ended before the query did"

_log = Log("trunkline.query")


class Sweeper:
    """A `services.app.Companion`. Several instances may sweep one store: each entry is ended once."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        databases: Databases,
        settings: QuerySettings,
        *,
        wake: Callable[[], None],
        wall: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._databases = databases
        self._settings = settings
        self._wake = wake
        self._wall = wall
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="query-sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is under way. Safe to call twice, and without `start`."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def sweep(self) -> int:
        """Do what is due; returns how many queries were given up. Raises `StoreUnavailable`."""
        given_up = self._give_up()
        self._prune()
        self._drop_ended()
        return given_up

    def _run(self) -> None:
        while not self._stopping.wait(SWEEP_SECONDS):
            try:
                self.sweep()
            except TrunklineError as error:
                _log.warning("sweeping waits for the store", error=str(error))
            except Exception as error:  # noqa: BLE001 - the next round may do better, and without one none will
                _log.error("sweeping failed", error=repr(error))

    def _give_up(self) -> int:
        now, given_up = self._wall(), 0
        with self._store.write() as tx:
            for tenant, entry in log.overdue(tx, now=now, limit=OVERDUE_AT_ONCE):
                if log.end(tx, entry.query_id, "failed", at=now, error_code=LOST, reason=LOST_MESSAGE):
                    narrator = Narrator(outbox=self._outbox, tenant=tenant, entry=entry)
                    narrator.failed(tx, LOST, LOST_MESSAGE, duration_us=0, at=now)
                    given_up += 1
        if given_up:
            self._wake()
        return given_up

    def _prune(self) -> None:
        with self._store.read() as tx:
            tenants = log.tenants(tx)
        for tenant in tenants:
            with self._store.write() as tx:
                log.prune(tx, tenant, keep=self._settings.log_rows(tenant))

    def _drop_ended(self) -> None:
        """Each instance drops its own files; the eraser has taken the rows."""
        with self._store.read() as tx:
            here = self._databases.tenants()
            ended = ended_among(tx, here) if here else frozenset()
        for tenant in sorted(ended):
            if self._databases.drop(tenant):
                _log.info("the database of an ended tenant was deleted", tenant=tenant)
