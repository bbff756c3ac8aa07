"""Puts refused records into the failure ledger, in the transaction of their batch, and tells the handler."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from trunkline.client.blame import one_line
from trunkline.client.handler import Handler, Refusal
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store, failures, parking
from trunkline.client.store.position import Lane
from trunkline.codec.record import Record

Refused: TypeAlias = tuple[Record, Refusal]


class Refusing:
    """Of one consumer group. Every way to tell returns what the ledger says of the record."""

    def __init__(self, store: Store, handler: Handler, *, wall_ms: Callable[[], int]) -> None:
        self._store = store
        self._handler = handler
        self._wall_ms = wall_ms

    def tell(self, tx: Connection, lane: Lane, record: Record, refusal: Refusal) -> Refusal:
        """Raises what the handler raises."""
        failures.add(tx, lane, record, refusal, now_ms=self._wall_ms())
        self._handler.refused(tx, record, refusal)
        return refusal

    def tell_in_savepoint(self, tx: Connection, lane: Lane, record: Record, refusal: Refusal) -> Refusal:
        """A handler that cannot even take note of the record does not keep it out of the ledger."""
        error = in_savepoint(self._store, tx, lambda: self.tell(tx, lane, record, refusal))
        return refusal if error is None else self.tell_nobody(tx, lane, record, refusal, why=[error])

    def tell_nobody(
        self, tx: Connection, lane: Lane, record: Record, refusal: Refusal, *, why: Sequence[Exception]
    ) -> Refusal:
        """The handler could not take note of it; the last exception of `why` says for what reason."""
        untold = f"{refusal.detail}; the service could not take note of it: {one_line(why[-1])}"
        refusal = Refusal(refusal.reason, untold)
        failures.add(tx, lane, record, refusal, now_ms=self._wall_ms())
        return refusal


def park(tx: Connection, lane: Lane, refused: Sequence[Refused]) -> None:
    """Park the tenants of records that failed by themselves."""
    tenants = {
        tenant
        for record, refusal in refused
        if refusal.reason != failures.PARKED and (tenant := parking.tenant_of(record)) is not None
    }
    parking.park(tx, group=lane.group, topic=lane.topic, tenants=tenants)
