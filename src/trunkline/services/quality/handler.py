"""The service's effect: query events become windows, loads, anomalies and proposed checks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.query import TOPIC
from trunkline.client import failpoints
from trunkline.client.handler import Received, Refusal
from trunkline.client.outbox import Outbox
from trunkline.codec import Envelope
from trunkline.codec.record import Record
from trunkline.services.quality import store
from trunkline.services.quality.course import Changes, Course
from trunkline.services.quality.emission import Emission
from trunkline.services.quality.facts import from_us, to_us
from trunkline.services.quality.metrics import Metrics
from trunkline.services.quality.options import OptionsBook
from trunkline.services.quality.proposing import propose
from trunkline.services.quality.rows import insert_new
from trunkline.services.quality.tables import QUALITY_EVENT
from trunkline.services.quality.turns import Told, in_turn
from trunkline.services.quality.windows import LATENESS_US


class QualityHandler:
    """A `client.handler.Handler`. `wall` is the machine's clock: what lies far ahead of it does not count."""

    def __init__(
        self, *, options: OptionsBook, outbox: Outbox, metrics: Metrics, wall: Callable[[], datetime]
    ) -> None:
        self._options = options
        self._outbox = outbox
        self._metrics = metrics
        self._wall = wall

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        now_us = to_us(self._wall())
        by_tenant: defaultdict[str, list[Envelope[Event]]] = defaultdict(list)
        for received in events:
            if received.record.topic == TOPIC and self._is_in_time(received.event, now_us):
                by_tenant[received.event.tenantid].append(received.event)
        if not by_tenant:
            return
        newest = store.lock(tx, by_tenant)
        fresh = {
            tenant: self._fresh(tx, tenant, of_it, newest[tenant]) for tenant, of_it in by_tenant.items()
        }
        facts = {
            tenant: [told.fact for told in of_it if told.fact is not None] for tenant, of_it in fresh.items()
        }
        # Before anything is forgotten, which happens when windows close.
        for tenant, queries in fresh.items():
            propose(tx, tenant, queries, self._metrics)
        options = {tenant: self._options.of(tenant) for tenant in newest}
        known = store.read(tx, newest, facts, options)
        changed = {}
        for tenant, of_them in facts.items():
            course = Course(tenant, options[tenant], known[tenant])
            for fact in of_them:
                course.apply(fact)
            changed[tenant] = (course.known, course.changes)
            self._tell(course.changes)
        store.write(tx, changed, arrived_us=now_us)
        failpoints.reach("quality.counted")
        for tenant, (_, changes) in changed.items():
            emit(tx, self._outbox, tenant, changes.emissions, self._metrics)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """Nothing: what cannot be read says nothing about an asset."""

    def _is_in_time(self, envelope: Envelope[Event], now_us: int) -> bool:
        """A clock that is ahead must not close everybody's windows."""
        if to_us(envelope.time) <= now_us + LATENESS_US:
            return True
        self._metrics.ignored.labels("future").inc()
        return False

    def _fresh(
        self, tx: Connection, tenant: str, events: Sequence[Envelope[Event]], newest_us: int
    ) -> Sequence[Told]:
        """Those that are not counted yet, and are remembered as counted with this.

        What is too old is not remembered; it does not count however often it comes.
        """
        recent = in_turn(events, newest_us)
        if len(recent) < len(events):
            self._metrics.ignored.labels("too_old").inc(len(events) - len(recent))
        table = QUALITY_EVENT.c
        ids = [told.envelope.id for told in recent]
        known = set(
            tx.execute(select(table.source, table.id).where(table.tenant == tenant, table.id.in_(ids)))
        )
        fresh: dict[tuple[str, str], Told] = {}
        for told in recent:
            identity = (told.envelope.source, told.envelope.id)
            if identity not in known:
                fresh.setdefault(identity, told)
        insert_new(
            tx,
            QUALITY_EVENT,
            [
                {"tenant": tenant, "source": source, "id": id_, "at_us": told.at_us}
                for (source, id_), told in fresh.items()
            ],
        )
        return list(fresh.values())

    def _tell(self, changes: Changes) -> None:
        self._metrics.late.inc(changes.late)
        self._metrics.windows.inc(changes.closed)


def emit(
    tx: Connection, outbox: Outbox, tenant: str, emissions: Iterable[Emission], metrics: Metrics
) -> None:
    """Add events to the outbox, in the order in which they follow."""
    for emission in emissions:
        envelope = outbox.emit(
            tx,
            emission.event,
            tenant=tenant,
            id=emission.id,
            time=from_us(emission.at_us),
            causationid=emission.cause,
        )
        metrics.emitted.labels(envelope.type).inc()
