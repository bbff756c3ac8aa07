"""What billing does beside its consumer: takes in settings, and closes the months that are due.

Every instance does it. Each step is a transaction of its own under the tenant's lock, and one that another
instance has done finds nothing left to do.
"""

import threading
from typing import Final

from sqlalchemy import Connection

from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.log import Log
from trunkline.errors import NotFound, TrunklineError
from trunkline.services.app import Context
from trunkline.services.billing import adopting, closing, quotas, recounting
from trunkline.services.billing.books import Books, read_meters
from trunkline.services.billing.closing import PeriodCloseBlocked, PeriodNotOpen
from trunkline.services.billing.metrics import Metrics
from trunkline.services.billing.sql import lock_tenants
from trunkline.services.billing.terms import Refused, Terms, read_terms

LOOK_SECONDS: Final = 60.0
"""How often months are looked for whose grace is over."""

_log: Final = Log("trunkline.billing")


class Keeper:
    """A `services.app.Companion`, and where the terms in force are."""

    def __init__(self, context: Context) -> None:
        """Takes in the meters that the settings have now. Raises `StoreUnavailable`."""
        assert context.outbox is not None, "the contract lets billing publish"
        self._context = context
        self._outbox = context.outbox
        self._metrics = Metrics(context.registry)
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="billing-keeper", daemon=True)
        self._terms = read_terms(context.settings)
        self._unfit: tuple[Refused, ...] = ()
        self._settled: Terms | None = None
        self._adopt()

    @property
    def terms(self) -> Terms:
        """What is in force."""
        return self._terms

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The settings that are bad and not in force."""
        return self._terms.refused + self._unfit

    def books(self, tx: Connection) -> Books:
        """What usage is booked under in this transaction."""
        return Books(read_meters(tx), self._terms, self._outbox)

    def settings_changed(self) -> None:
        """Take in the settings of now: the limits at once, what follows from them soon. From any thread."""
        self._terms = read_terms(self._context.settings, self._terms)
        self._wanted.set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step in hand and end. Safe to call twice, and without `start`."""
        self._stopping = True
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join()

    def look(self) -> None:
        """Do everything that is due. Raises what the store raises."""
        if self._settled is not self._terms:
            self._settle(self._terms)
        self._close_due()
        with self._context.store.read() as tx:
            self._metrics.look(tx)
        self._metrics.refused.set(len(self.refused))

    def _adopt(self) -> None:
        with self._context.store.write() as tx:
            self._unfit = tuple(adopting.adopt(tx, self._terms))
        for refused in self.refused:
            _log.warning("a setting is not in force", key=refused.key, reason=refused.reason)

    def _settle(self, terms: Terms) -> None:
        """Bring what was counted under other settings up to these."""
        self._adopt()
        changed = adopting.count_the_past(self._context.store, self.books)
        self._metrics.recounted.inc(changed)
        with self._context.store.read() as tx:
            tenants = sorted({tenant for tenant, _ in recounting.months(tx, open_only=True)})
        for tenant in tenants:
            with self._context.store.write() as tx:
                lock_tenants(tx, [tenant])
                quotas.reassess(tx, self.books(tx), [tenant])
        self._context.wake()
        self._settled = terms

    def _close_due(self) -> None:
        now = self._context.wall()
        with self._context.store.read() as tx:
            months = closing.due(tx, now=now, grace_us=self._terms.grace_us)
        blocked = 0
        for tenant, period in months:
            try:
                with self._context.store.write() as tx:
                    closing.close(tx, self.books(tx), tenant=tenant, period=period, now=now)
            except PeriodCloseBlocked as error:
                blocked += 1
                _log.warning("a period has to wait", tenant=tenant, reason=str(error))
            except (PeriodNotOpen, NotFound):
                continue  # Another instance has closed it meanwhile, or the tenant was erased.
            else:
                self._metrics.closed.inc()
                self._context.wake()
        self._metrics.blocked.set(blocked)

    def _run(self) -> None:
        while True:
            self._wanted.clear()
            if self._stopping:
                return
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - what cannot go on must say so, whatever the cause
                if not is_world_at_fault(error):
                    self._context.on_failure(TrunklineError(f"billing cannot go on: {one_line(error)}"))
                    return
                _log.warning("billing has to wait for its store", reason=one_line(error))
            self._wanted.wait(LOOK_SECONDS)
