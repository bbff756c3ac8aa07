"""Applies the records of one partition in one transaction: position, dedupe, effect and ledger, or nothing.

A batch is tried in up to three ways, each in a transaction of its own:

- all new: every record is an event that was never seen, of a tenant that is not parked. One statement marks
  them all as processed, and the handler gets the whole batch.
- together: duplicates and conflicts are sifted out first, and the handler gets what is left, as a whole.
- one by one: when the handler fails for a reason that lies in an event, each gets a savepoint, so that only
  the guilty one goes to the ledger and its neighbours take effect.

Events of a parked tenant (`store.parking`) go to the ledger without being tried, and so do, where failures
park, the later events of a tenant that has one in this very batch.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy import Connection

from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.breaker import Breaker
from trunkline.client.errors import BreakerOpen, StopOverdue, StoreUnavailable
from trunkline.client.handler import Handler, Received, Refusal, RetryLater
from trunkline.client.store import Store, dedupe, failures, parking, position
from trunkline.client.store.position import Fenced, Lane
from trunkline.codec import CodecError, Record, decode

Refused: TypeAlias = tuple[Record, Refusal]

ID_CONFLICT: Final = Refusal(failures.ID_CONFLICT, failures.REASONS[failures.ID_CONFLICT])
PARKED: Final = Refusal(failures.PARKED, failures.REASONS[failures.PARKED])

Halted: TypeAlias = dict[str, int]
"""Tenants whose events are not to be tried, each with the offset behind which that holds."""

_EVERYWHERE: Final = -1


class _NotAllNew(Exception):  # noqa: N818 - control flow: the transaction rolls back, another way follows
    """A batch holds an event that was seen before, or one of a parked tenant."""


_CONTROL_FLOW: Final = (StoreUnavailable, RetryLater, Fenced, BreakerOpen, StopOverdue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a committed batch came to. `refused` is in the order of the records."""

    handled: int
    duplicates: int
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """The records of a batch: events, and what is none."""

    events: list[Received]
    refused: list[Refused]


class BatchProcessor:
    """Applies batches of one consumer group to its store. With `park_tenants` a failure parks its tenant."""

    def __init__(
        self,
        store: Store,
        handler: Handler,
        *,
        breaker: Breaker,
        wall_ms: Callable[[], int],
        park_tenants: bool = False,
    ) -> None:
        self._store = store
        self._handler = handler
        self._breaker = breaker
        self._wall_ms = wall_ms
        self._park_tenants = park_tenants
        self._expect_new = True
        self._abandoned = False

    def abandon(self) -> None:
        """Let no transaction commit any more, not even the one under way. From any thread."""
        self._abandoned = True

    def process(self, lane: Lane, records: Sequence[Record], *, expected: int | None) -> Outcome:
        """Apply records of one partition, in order, and move the position from `expected` behind the last.

        Raises `Fenced`, `BreakerOpen`, `StoreUnavailable` and `RetryLater`; nothing has changed then.
        """
        decoded = decode_all(records)
        target = records[-1].offset + 1
        try:
            return self._whole(lane, decoded, expected=expected, target=target)
        except _CONTROL_FLOW:
            raise
        except Exception as error:
            if is_world_at_fault(error):
                raise RetryLater(one_line(error)) from error
        return self._attempt(lane, decoded, expected=expected, target=target, handle=self._one_by_one)

    def _whole(self, lane: Lane, decoded: Decoded, *, expected: int | None, target: int) -> Outcome:
        if self._expect_new and not decoded.refused:
            with suppress(_NotAllNew):
                return self._attempt_new(lane, decoded.events, expected=expected, target=target)
        outcome = self._attempt(lane, decoded, expected=expected, target=target, handle=self._together)
        # Duplicates come in rows, when a log is read again; then the shorter way would only be a detour.
        self._expect_new = not outcome.duplicates
        return outcome

    def _attempt_new(
        self, lane: Lane, events: list[Received], *, expected: int | None, target: int
    ) -> Outcome:
        """Raises `_NotAllNew` when it cannot go this way."""
        with self._store.write() as tx:
            position.advance(tx, lane, expected=expected, target=target)
            tenants = {received.event.tenantid for received in events}
            if parking.parked(tx, group=lane.group, topic=lane.topic, tenants=tenants):
                raise _NotAllNew
            if not dedupe.claim(tx, lane.group, events):
                raise _NotAllNew
            self._handler.handle(tx, events)
            self._stop_if_abandoned(lane, target)
        self._breaker.record([True])
        return Outcome(handled=len(events), duplicates=0, refused=())

    def _attempt(
        self,
        lane: Lane,
        decoded: Decoded,
        *,
        expected: int | None,
        target: int,
        handle: Callable[[Connection, list[Received], Halted], list[Refused]],
    ) -> Outcome:
        with self._store.write() as tx:
            position.advance(tx, lane, expected=expected, target=target)
            sifted = dedupe.sift(tx, lane.group, decoded.events)
            refused = [*decoded.refused, *((item.record, ID_CONFLICT) for item in sifted.conflicts)]
            halted = self._halted(tx, lane, sifted.fresh, refused)
            refused += handle(tx, sifted.fresh, halted)
            handled = without(sifted.fresh, refused)
            dedupe.remember(tx, lane.group, handled, sifted.digests)
            refused.sort(key=lambda item: item[0].offset)
            self._put_into_ledger(tx, lane, refused)
            successes = successes_of(handled, refused)
            if self._breaker.would_open(successes):
                raise BreakerOpen(breaker_text(self._breaker, lane, refused))
            self._stop_if_abandoned(lane, target)
        self._breaker.record(successes)
        return Outcome(handled=len(handled), duplicates=len(sifted.duplicates), refused=tuple(refused))

    def _stop_if_abandoned(self, lane: Lane, target: int) -> None:
        if self._abandoned:
            raise StopOverdue(f"{lane.group} had to stop before {lane.topic}/{lane.partition}@{target}")

    def _halted(
        self, tx: Connection, lane: Lane, fresh: Sequence[Received], refused: Sequence[Refused]
    ) -> Halted:
        tenants = {received.event.tenantid for received in fresh}
        parked = parking.parked(tx, group=lane.group, topic=lane.topic, tenants=tenants)
        halted: Halted = dict.fromkeys(parked, _EVERYWHERE)
        if self._park_tenants:
            for record, _ in refused:
                _halt(halted, record)
        return halted

    def _together(self, tx: Connection, events: list[Received], halted: Halted) -> list[Refused]:
        parked: list[Refused] = []
        if halted:
            parked = [(received.record, PARKED) for received in events if _is_halted(received, halted)]
            events = without(events, parked)
        if events:
            self._handler.handle(tx, events)
        return parked

    def _one_by_one(self, tx: Connection, events: list[Received], halted: Halted) -> list[Refused]:
        failed: list[Refused] = []
        for received in events:
            if _is_halted(received, halted):
                failed.append((received.record, PARKED))
                continue
            refusal = handle_one(self._store, self._handler, tx, received)
            if refusal is not None:
                failed.append((received.record, refusal))
                if self._park_tenants:
                    _halt(halted, received.record)
        return failed

    def _put_into_ledger(self, tx: Connection, lane: Lane, refused: Sequence[Refused]) -> None:
        now_ms = self._wall_ms()
        for record, refusal in refused:
            failures.add(tx, lane, record, refusal, now_ms=now_ms)
            self._handler.refused(tx, record, refusal)
        if self._park_tenants:
            tenants = {
                tenant
                for record, refusal in refused
                if refusal is not PARKED and (tenant := parking.tenant_of(record)) is not None
            }
            parking.park(tx, group=lane.group, topic=lane.topic, tenants=tenants)


def breaker_text(breaker: Breaker, lane: Lane, refused: Sequence[Refused]) -> str:
    """Why a breaker opened, at the last of these."""
    record, refusal = next(item for item in reversed(refused) if item[1] is not PARKED)
    return (
        f"{lane.group} stopped: {breaker.limit} events in a row failed, the last one at "
        f"{record.topic}/{record.partition}@{record.offset} ({refusal.reason}: {refusal.detail}); "
        "nothing of this batch was skipped. Fix the cause and start it again; if it is the events, start "
        "it once with --failures-in-a-row 0, and all of them go to the failure ledger"
    )


def handle_one(store: Store, handler: Handler, tx: Connection, received: Received) -> Refusal | None:
    """Hand over a single event inside a savepoint; why it failed, or None.

    Raises `RetryLater` or the store's own error when the event is not at fault.
    """
    savepoint = tx.begin_nested()
    try:
        handler.handle(tx, [received])
    except RetryLater:
        raise
    except Exception as error:
        if store.unavailable(error) is not None:
            raise
        if is_world_at_fault(error):
            raise RetryLater(one_line(error)) from error
        savepoint.rollback()
        return Refusal(failures.HANDLER, one_line(error))
    savepoint.commit()
    return None


def decode_or_refuse(record: Record) -> Received | Refusal:
    """The event in a record, or why there is none."""
    try:
        return Received(record, decode(record))
    except CodecError as error:
        return Refusal(error.reason, str(error))


def decode_all(records: Sequence[Record]) -> Decoded:
    """Decode a batch, in order."""
    decoded = Decoded([], [])
    for record in records:
        try:
            decoded.events.append(Received(record, decode(record)))
        except CodecError as error:
            decoded.refused.append((record, Refusal(error.reason, str(error))))
    return decoded


def _halt(halted: Halted, record: Record) -> None:
    """A record failed: what comes behind it and is the same tenant's must not take effect before it."""
    tenant = parking.tenant_of(record)
    if tenant is not None:
        halted[tenant] = min(halted.get(tenant, record.offset), record.offset)


def _is_halted(received: Received, halted: Halted) -> bool:
    behind = halted.get(received.event.tenantid)
    return behind is not None and behind < received.record.offset


def without(events: list[Received], failed: Sequence[Refused]) -> list[Received]:
    """The events that did not fail."""
    if not failed or not events:
        return events
    offsets = {record.offset for record, _ in failed}
    return [received for received in events if received.record.offset not in offsets]


def successes_of(handled: Sequence[Received], refused: Sequence[Refused]) -> list[bool]:
    """In the order of the records; duplicates and parked events count neither way."""
    if not refused:
        return [True] if handled else []
    outcomes = [(received.record.offset, True) for received in handled]
    outcomes += [(record.offset, False) for record, refusal in refused if refusal is not PARKED]
    return [success for _, success in sorted(outcomes)]
