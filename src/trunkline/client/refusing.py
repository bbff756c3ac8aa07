"""How an event comes to be refused, and how refused records get into the failure ledger."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.handler import Handler, PlainHandler, Received, Refusal, RetryLater
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store, failures, parking
from trunkline.client.store.position import Lane
from trunkline.codec.record import Record

Refused: TypeAlias = tuple[Record, Refusal]


def hand_over(handler: PlainHandler, events: Sequence[Received]) -> Refusal | None:
    """Hand events over without a transaction; why they failed, or None.

    Raises `RetryLater` when they are not at fault.
    """
    try:
        handler.handle(events)
    except RetryLater:
        raise
    except Exception as error:
        if is_world_at_fault(error):
            raise RetryLater(one_line(error)) from error
        return Refusal(failures.HANDLER, one_line(error))
    return None


class Refusing:
    """Puts records of one consumer group into its ledger, in the transaction of their batch.

    Every way to tell returns what the ledger says of the record.
    """

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
