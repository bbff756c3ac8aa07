"""The end of a tenant, as every service has it.

    ending = Ending(context, app)
    handler = ending.handler            # the app's own, behind the tombstones; None for one without
    with companions(ending.companions): # reads the ends, destroys keys, gives receipts
        ending.wait_current(10)

An end reaches a service in two ways, and the first one counts: as `tenant.deleted.v1` among its events, where
it consumes the lifecycle topic, and through `trunkline.tenant.ends`, which every instance reads from its
beginning before it consumes. The second way also reaches a store that is built anew from the topics.
"""

from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from trunkline.catalogue.internal import TENANT_ENDS
from trunkline.client.blame import one_line
from trunkline.client.handler import Handler
from trunkline.client.log import Log
from trunkline.codec.record import Record
from trunkline.services.app import App, Companion, Context
from trunkline.services.kit.ending.answering import Answering
from trunkline.services.kit.ending.ends import (
    Ended,
    Erasure,
    Held,
    TenantEnded,
    all_ended,
    counts,
    end_tenant,
    ended,
    ended_among,
    erased_among,
    require_not_ended,
)
from trunkline.services.kit.ending.following import Following
from trunkline.services.kit.ending.handler import EndingHandler
from trunkline.services.kit.ending.records import End, Receipt, decode_end
from trunkline.services.kit.ending.tables import ENDED_TENANT, ENDING

__all__ = [
    "ENDED_TENANT",
    "ENDING",
    "End",
    "Ended",
    "Ending",
    "Held",
    "Receipt",
    "TenantEnded",
    "ended",
    "ended_among",
    "erased_among",
    "require_not_ended",
]

_STAGES: Final = ("erasing", "answering", "answered")

_log = Log("trunkline.ending")


class Ending:
    """One service's part in the end of tenants."""

    def __init__(self, context: Context, app: App) -> None:
        self._context = context
        self._erasure = Erasure(context.store, app.eraser, publishes=context.outbox is not None)
        self._known: frozenset[str] | None = None
        self._answering = Answering(
            context.service, self._erasure, context.keys, context.connection, wall=context.wall
        )
        self._following = Following(context.connection, TENANT_ENDS.name, self._heard)
        self.companions: tuple[Companion, ...] = (self._following, self._answering)
        """What reads the ends and answers them; to be started before the consumer."""
        self.handler: Handler | None = None
        """The app's handler, which sees nothing of a tenant after its end. None for an app without one."""
        if app.handler is not None:
            self.handler = EndingHandler(app.handler, app.late, self._erasure, wall=context.wall)
        context.registry.register(_Gauges(self))

    def wait_current(self, seconds: float) -> bool:
        """Wait until every end is known that was announced before the start; False after the time-out."""
        return self._following.wait_current(seconds)

    def not_ready(self) -> list[str]:
        """Why ends may be unknown or unanswered here, as sentences."""
        return [reason for reason in (self._following.trouble, self._answering.trouble) if reason]

    def end(self, end: End) -> bool:
        """End a tenant in this store; False where it had ended before. Raises `StoreUnavailable`."""
        with self._context.store.write() as tx:
            new = end_tenant(tx, end, self._erasure, now=self._context.wall())
        if new:
            _log.info("a tenant has ended", tenant=end.tenant, deletion_id=end.deletion_id)
            self._answering.wake()
        return new

    def answer(self) -> int:
        """Give the receipts that are due, for whoever runs without the companions. Raises as
        `Answering.answer` does."""
        return self._answering.answer()

    def counts(self) -> dict[str, int]:
        """See `ends.counts`; empty while the store is away."""
        try:
            with self._context.store.read() as tx:
                return counts(tx)
        except Exception as error:  # noqa: BLE001 - a look at the metrics must not fail for one of them
            _log.warning("ended tenants cannot be counted", error=one_line(error))
            return {}

    def _heard(self, record: Record) -> None:
        end = decode_end(record)
        if end is None:
            _log.warning("a record is no end of a tenant", topic=record.topic, offset=record.offset)
            return
        if self._known is None:
            with self._context.store.read() as tx:
                self._known = all_ended(tx)
        if end.tenant not in self._known:
            self.end(end)
        else:
            self._answering.wake()


class _Gauges(Collector):
    """Ended tenants by stage, read when somebody asks."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> list[GaugeMetricFamily]:
        found = self._ending.counts()
        tenants = GaugeMetricFamily(
            "trunkline_ended_tenants",
            "Tenants that have ended: data still being erased, receipt not given yet, answered.",
            labels=["stage"],
        )
        for stage in _STAGES:
            if stage in found:
                tenants.add_metric([stage], found[stage])
        dropped = GaugeMetricFamily(
            "trunkline_ended_tenants_dropped_events",
            "Events of ended tenants that came after their end and took no effect.",
        )
        if "dropped" in found:
            dropped.add_metric([], found["dropped"])
        return [tenants, dropped]
