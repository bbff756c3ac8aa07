"""Stands before a service's handler: nothing of a tenant takes effect after its end."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from trunkline.catalogue.events.tenant import TenantDeleted
from trunkline.client.handler import Handler, Received, Refusal
from trunkline.client.store import parking
from trunkline.codec.record import Record
from trunkline.services.kit.ending.ends import Erasure, count_dropped, end_tenant, ended_among
from trunkline.services.kit.ending.purge import forget_failures
from trunkline.services.kit.ending.records import End, can_end


class EndingHandler:
    """A `client.handler.Handler` around another one.

    A `tenant.deleted.v1` ends the tenant in the same transaction: the other handler sees it, and what came
    before it, then the tenant is erased. What comes afterwards is dropped and counted, or given to `late`.
    """

    def __init__(
        self, inner: Handler, late: Handler | None, erasure: Erasure, *, wall: Callable[[], datetime]
    ) -> None:
        self._inner = inner
        self._late = late
        self._erasure = erasure
        self._wall = wall

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        """See `Handler`."""
        ends = ends_in(events)
        ended = ended_among(tx, {received.event.tenantid for received in events}, ending=ends)
        if not ended and not ends:
            self._inner.handle(tx, events)
            return
        timely, late = _split(events, ended, ends)
        if timely:
            self._inner.handle(tx, timely)
        for tenant, received in ends.items():
            if tenant not in ended:
                end_tenant(tx, end_of(received), self._erasure, now=self._wall())
        if late and self._late is not None:
            self._late.handle(tx, late)
        elif late:
            count_dropped(tx, Counter(received.event.tenantid for received in late))

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """See `Handler`. A refused record of an ended tenant does not stay in the failure ledger."""
        tenant = parking.tenant_of(record)
        if tenant is None or not ended_among(tx, [tenant]):
            self._inner.refused(tx, record, refusal)
            return
        forget_failures(tx, [record])
        if self._late is not None:
            self._late.refused(tx, record, refusal)
        else:
            count_dropped(tx, {tenant: 1})


def ends_in(events: Sequence[Received]) -> dict[str, Received]:
    """The first `tenant.deleted.v1` of each tenant that has one here."""
    found: dict[str, Received] = {}
    for received in events:
        if isinstance(received.event.data, TenantDeleted) and can_end(received.event.tenantid):
            found.setdefault(received.event.tenantid, received)
    return found


def end_of(received: Received) -> End:
    """What a `tenant.deleted.v1` says."""
    event = received.event
    return End(tenant=event.tenantid, deletion_id=event.id, deleted_at=event.time)


def _split(
    events: Sequence[Received], ended: frozenset[str], ends: dict[str, Received]
) -> tuple[list[Received], list[Received]]:
    """What came in time, in order, and what came after the tenant's end."""
    timely: list[Received] = []
    late: list[Received] = []
    over = set(ended)
    for received in events:
        tenant = received.event.tenantid
        (late if tenant in over else timely).append(received)
        if ends.get(tenant) is received:
            over.add(tenant)
    return timely, late
