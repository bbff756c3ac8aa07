"""Looks at the clock where no events come: an asset is overdue also when its whole tenant is silent.

The work is the same as that of the watermark, and so are the ids: whoever comes first raises the anomaly, the
other finds it there. Several instances may look at once; they hold the tenant's row while they do.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select

from trunkline.client import failpoints
from trunkline.client.errors import StoreUnavailable
from trunkline.client.log import Log
from trunkline.client.outbox import Outbox
from trunkline.client.store import Store
from trunkline.errors import TrunklineError
from trunkline.services.kit.ending import ended_among
from trunkline.services.quality import store
from trunkline.services.quality.course import Course
from trunkline.services.quality.facts import to_us
from trunkline.services.quality.handler import emit
from trunkline.services.quality.metrics import Metrics
from trunkline.services.quality.options import OptionsBook
from trunkline.services.quality.tables import QUALITY_TENANT
from trunkline.services.quality.windows import LATENESS_US

INTERVAL_SECONDS: Final = 30.0
TENANTS_MAX: Final = 1_000
"""Looked at in one round; the others in the next ones."""

_log = Log(__name__)


class Clock:
    """Raises what is overdue of silent tenants. One `look` is one transaction a tenant."""

    def __init__(
        self,
        opened: Store,
        *,
        options: OptionsBook,
        outbox: Outbox,
        metrics: Metrics,
        wall: Callable[[], datetime],
    ) -> None:
        self._store = opened
        self._options = options
        self._outbox = outbox
        self._metrics = metrics
        self._wall = wall
        self._behind = ""
        self._began_us = to_us(wall())

    def look(self) -> int:
        """Look once; returns how many events were added. Raises `StoreUnavailable`.

        Not in its first ten minutes, in which the consumer reads what came while nobody was there.
        """
        now_us = to_us(self._wall())
        if now_us < self._began_us + LATENESS_US:
            return 0
        with self._store.read() as tx:
            silent = self._silent(tx, now_us) if is_current(tx, now_us) else []
        return sum(self._look_at(tenant, now_us) for tenant in silent)

    def _silent(self, tx: Connection, now_us: int) -> list[str]:
        """Tenants of which nothing has come for as long as an event may be late, in turns."""
        table = QUALITY_TENANT.c
        query = (
            select(table.tenant)
            .where(table.tenant > self._behind, table.arrived_us <= now_us - LATENESS_US)
            .order_by(table.tenant)
            .limit(TENANTS_MAX)
        )
        found = list(tx.execute(query).scalars())
        self._behind = found[-1] if len(found) == TENANTS_MAX else ""
        return found

    def _look_at(self, tenant: str, now_us: int) -> int:
        with self._store.write() as tx:
            if ended_among(tx, [tenant]):
                # Since it was found silent: to lock it would make its row anew.
                return 0
            newest = store.lock(tx, [tenant])
            options = {tenant: self._options.of(tenant)}
            # As if an event of now had come: what that would find overdue is overdue.
            pretended = {tenant: max(newest[tenant], now_us)}
            known = store.read(tx, pretended, {}, options)[tenant]
            course = Course(tenant, options[tenant], known)
            course.look_at_dues(now_us - LATENESS_US, confirmed=False)
            emissions = course.changes.emissions
            if emissions:
                store.write(tx, {tenant: (known, course.changes)}, arrived_us=None)
                failpoints.reach("quality.overdue")
                emit(tx, self._outbox, tenant, emissions, self._metrics)
        return len(emissions)


def is_current(tx: Connection, now_us: int) -> bool:
    """Whether the consumer has caught up, as far as its own store tells.

    Either its newest event is of now, or nothing has come for a while. While a log is read again from its
    beginning, everything would look overdue.
    """
    table = QUALITY_TENANT.c
    newest_us, arrived_us = tx.execute(select(func.max(table.newest_us), func.max(table.arrived_us))).one()
    if newest_us is None:
        return False
    return bool(max(newest_us, arrived_us) <= now_us - LATENESS_US or newest_us >= now_us - 2 * LATENESS_US)


class ClockThread:
    """A companion that looks at the clock until told to stop."""

    def __init__(
        self, clock: Clock, *, wake: Callable[[], None], on_failure: Callable[[TrunklineError], None]
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._on_failure = on_failure
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quality-clock", daemon=True)

    def start(self) -> None:
        """Begin to look, every half minute."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look under way. Safe to call twice, and without `start`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            try:
                if self._clock.look():
                    self._wake()
            except StoreUnavailable as error:
                _log.warning("overdue assets have to wait", error=str(error))
            except Exception as error:  # noqa: BLE001 - a service that no longer watches must not seem to be well
                self._on_failure(TrunklineError(f"data quality's clock cannot go on: {error}"))
                return
