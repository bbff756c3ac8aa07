"""Applies the records of one partition in one transaction: position, dedupe, effect and ledger, or nothing.

A batch is tried in up to four ways, the first three of them in one transaction each:

- all new: every record is an event that was never seen, of a tenant that is not parked. One statement marks
  them all as processed, and the handler gets the whole batch.
- together: duplicates and conflicts are sifted out first, and the handler gets what is left, as a whole.
- one by one: when the handler fails for a reason that lies in an event, each gets a savepoint, so that only
  the guilty one goes to the ledger and its neighbours take effect.
- alone: when that transaction fails, too, as it does where a constraint is deferred to the commit, each
  record gets one of its own, and the one whose commit fails goes to the ledger.

Events of a parked tenant (`store.parking`) go to the ledger without being tried, and so do, where failures
park, the later events of a tenant that has one in this very batch.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection

from trunkline.client import failpoints
from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.breaker import Breaker
from trunkline.client.errors import BreakerOpen, StopOverdue, StoreUnavailable
from trunkline.client.handler import Handler, Received, Refusal, RetryLater
from trunkline.client.refusing import Refused, Refusing, park
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store, dedupe, failures, parking, position
from trunkline.client.store.position import Fenced, Lane
from trunkline.codec import CodecError, Record, decode

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
        self._refusing = Refusing(store, handler, wall_ms=wall_ms)
        self._park_tenants = park_tenants
        self._expect_new = True
        self._abandoned = False
        self._parts: dict[Lane, _Part] = {}

    def abandon(self) -> None:
        """Let no transaction commit any more, not even the one under way. From any thread."""
        self._abandoned = True

    def process(self, lane: Lane, records: Sequence[Record], *, expected: int | None) -> Outcome:
        """Apply records of one partition, in order, and move the position from `expected` behind the last.

        Raises `Fenced`, `BreakerOpen`, `StoreUnavailable` and `RetryLater`. Nothing has changed then, or the
        first records of the batch have been applied alone: the next call with the same `expected` goes on
        behind them, and the store's position is there.
        """
        part = self._parts.pop(lane, None)
        if part is not None and part.expected == expected:
            return self._alone(lane, records, part)
        decoded = decode_all(records)
        target = records[-1].offset + 1
        for way in (self._whole, self._carefully):
            try:
                return way(lane, decoded, expected=expected, target=target)
            except _CONTROL_FLOW:
                raise
            except Exception as error:
                if is_world_at_fault(error):
                    raise RetryLater(one_line(error)) from error
        return self._alone(lane, records, _Part(expected=expected, position=expected))

    def _whole(self, lane: Lane, decoded: Decoded, *, expected: int | None, target: int) -> Outcome:
        if self._expect_new and not decoded.refused:
            with suppress(_NotAllNew):
                return self._attempt_new(lane, decoded.events, expected=expected, target=target)
        way = _Way(self._together, self._refusing.tell)
        outcome = self._attempt(lane, decoded, way, expected=expected, target=target)
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
            self._hand_over(tx, events)
            self._stop_if_abandoned(lane, target)
            failpoints.reach("batch.applied")
        failpoints.reach("batch.committed")
        self._breaker.record([True])
        return Outcome(handled=len(events), duplicates=0, refused=())

    def _carefully(self, lane: Lane, decoded: Decoded, *, expected: int | None, target: int) -> Outcome:
        way = _Way(self._one_by_one, self._refusing.tell_in_savepoint)
        return self._attempt(lane, decoded, way, expected=expected, target=target)

    def _alone(self, lane: Lane, records: Sequence[Record], part: "_Part") -> Outcome:
        try:
            for record in records:
                if part.position is None or part.position <= record.offset:
                    part.add(record, self._apply_alone(lane, record, expected=part.position))
        except (StoreUnavailable, RetryLater):
            self._parts[lane] = part
            raise
        return part.outcome()

    def _apply_alone(self, lane: Lane, record: Record, *, expected: int | None) -> Outcome:
        """Handle it, else refuse it, else refuse it without a word to the handler."""
        decoded = decode_all([record])
        errors: list[Exception] = []
        refuse = partial(_refuse, why=errors)
        for way in (
            _Way(self._together, self._refusing.tell_in_savepoint),
            _Way(refuse, self._refusing.tell_in_savepoint),
            _Way(refuse, partial(self._refusing.tell_nobody, why=errors)),
        ):
            try:
                return self._attempt(lane, decoded, way, expected=expected, target=record.offset + 1)
            except _CONTROL_FLOW:
                raise
            except Exception as error:
                if is_world_at_fault(error):
                    raise RetryLater(one_line(error)) from error
                errors.append(error)
        raise errors[-1]

    def _attempt(
        self, lane: Lane, decoded: Decoded, way: "_Way", *, expected: int | None, target: int
    ) -> Outcome:
        with self._store.write() as tx:
            position.advance(tx, lane, expected=expected, target=target)
            sifted = dedupe.sift(tx, lane.group, decoded.events)
            refused = [*decoded.refused, *((item.record, ID_CONFLICT) for item in sifted.conflicts)]
            halted = self._halted(tx, lane, sifted.fresh, refused)
            refused += way.handle(tx, sifted.fresh, halted)
            handled = without(sifted.fresh, refused)
            dedupe.remember(tx, lane.group, handled, sifted.digests)
            refused.sort(key=lambda item: item[0].offset)
            refused = [(record, way.tell(tx, lane, record, refusal)) for record, refusal in refused]
            if self._park_tenants:
                park(tx, lane, refused)
            successes = successes_of(handled, refused)
            if self._breaker.would_open(successes):
                raise BreakerOpen(breaker_text(self._breaker, lane, refused))
            self._stop_if_abandoned(lane, target)
            failpoints.reach("batch.applied")
        failpoints.reach("batch.committed")
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
            self._hand_over(tx, events)
        return parked

    def _hand_over(self, tx: Connection, events: list[Received]) -> None:
        self._handler.handle(tx, events)
        self._store.check(tx)

    def _one_by_one(self, tx: Connection, events: list[Received], halted: Halted) -> list[Refused]:
        failed: list[Refused] = []
        for received in events:
            if _is_halted(received, halted):
                failed.append((received.record, PARKED))
                continue
            error = in_savepoint(self._store, tx, partial(self._handler.handle, tx, [received]))
            if error is not None:
                failed.append((received.record, Refusal(failures.HANDLER, one_line(error))))
                if self._park_tenants:
                    _halt(halted, received.record)
        return failed


class _Way(NamedTuple):
    """How events are handed over, and how the handler is told of what was refused."""

    handle: Callable[[Connection, list[Received], Halted], list[Refused]]
    tell: Callable[[Connection, Lane, Record, Refusal], Refusal]


@dataclass(slots=True, kw_only=True)
class _Part:
    """What has been applied of a batch so far whose records are applied alone."""

    expected: int | None
    position: int | None
    handled: int = 0
    duplicates: int = 0
    refused: list[Refused] = field(default_factory=list)

    def add(self, record: Record, outcome: Outcome) -> None:
        self.position = record.offset + 1
        self.handled += outcome.handled
        self.duplicates += outcome.duplicates
        self.refused += outcome.refused

    def outcome(self) -> Outcome:
        return Outcome(handled=self.handled, duplicates=self.duplicates, refused=tuple(self.refused))


def _refuse(
    _tx: Connection, events: list[Received], halted: Halted, *, why: Sequence[Exception]
) -> list[Refused]:
    refusal = Refusal(failures.HANDLER, one_line(why[0]))
    return [(item.record, PARKED if _is_halted(item, halted) else refusal) for item in events]


def breaker_text(breaker: Breaker, lane: Lane, refused: Sequence[Refused]) -> str:
    """Why a breaker opened, at the last of these."""
    record, refusal = next(item for item in reversed(refused) if item[1].reason != failures.PARKED)
    return (
        f"{lane.group} stopped: {breaker.limit} events in a row failed, the last one at "
        f"{record.topic}/{record.partition}@{record.offset} ({refusal.reason}: {refusal.detail}); "
        "it was not skipped. Fix the cause and start it again; if it is the events, start it once with "
        "--failures-in-a-row 0, and all of them go to the failure ledger"
    )


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
    outcomes += [(record.offset, False) for record, refusal in refused if refusal.reason != failures.PARKED]
    return [success for _, success in sorted(outcomes)]
