"""Gives failed records to their group again: only to that group, and each in a transaction of its own.

A parked tenant's failures are replayed strictly in the order of its events: while an earlier one is open, the
later ones are held back, untouched.

A handler without a transaction, a `PlainConsumer`'s, is called while the failure's row is locked, and the row
is settled after it has returned: what fails or dies between the two has the effect again with the next
replay, and two replays at once do not share an event.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from enum import StrEnum
from itertools import islice
from typing import ClassVar, Final, Protocol, cast

from sqlalchemy import Connection

from trunkline.client.batch import ID_CONFLICT, decode_or_refuse
from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.errors import StoreUnavailable, UnknownFailure
from trunkline.client.handler import (
    AnyHandler,
    Handler,
    PlainHandler,
    Received,
    Refusal,
    RetryLater,
    takes_transaction,
)
from trunkline.client.pace import Pace
from trunkline.client.refusing import hand_over
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store, dedupe, failures, parking
from trunkline.client.store.failures import EVERYTHING, Failure, Filter, StillParked
from trunkline.errors import InvalidInput

PAGE: Final = 500
"""How many ids are read from the ledger at once."""

LATE_ROUNDS_MAX: Final = 10
"""How often events are looked for that joined a parked tenant while those before them were replayed."""

REHEARSED_MAX: Final = 1_000
"""A rehearsal is one transaction, and keeps the service from writing as long as it lasts."""


class Verdict(StrEnum):
    """How a replay ended."""

    REPLAYED = "replayed"
    ALREADY_PROCESSED = "already_processed"
    """The group has processed it meanwhile, or somebody else has settled the failure."""
    FAILED_AGAIN = "failed_again"
    HELD_BACK = "held_back"
    """Not tried: an earlier event of its parked tenant has to go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One replay; `refusal` says why it failed again."""

    failure_id: int
    verdict: Verdict
    refusal: Refusal | None = None


_TRIED: Final = frozenset({Verdict.REPLAYED, Verdict.FAILED_AGAIN})


class _RolledBack(Exception):  # noqa: N818 - control flow
    """Ends a transaction that must leave nothing behind."""


class OpenFailures(Iterator[int]):
    """The ids of what `open_failures` found.

    One that somebody else settles before its turn counts as processed: nobody has asked for it by its id.
    """

    def __init__(self, ids: Iterator[int]) -> None:
        self._ids = ids

    def __next__(self) -> int:
        return next(self._ids)


def replay(
    store: Store, handler: AnyHandler, ids: Iterable[int], *, wall: Callable[[], float] = time.time
) -> list[Replayed]:
    """Put stored records through the handler, bytes, id and trace unchanged.

    With a handler's store an event that the group has processed meanwhile is settled without an effect; with
    a `PlainHandler` and its ledger an event may take effect again. One that fails again stays in the ledger
    with another attempt counted. Raises `InvalidInput` for what is no handler, before anything is touched,
    `UnknownFailure` at an id that is not open, unless it is of `OpenFailures`, and `StoreUnavailable` or
    `RetryLater`; the replays before it have happened.
    """
    return list(replaying(store, handler, ids, wall=wall))


def replaying(
    store: Store,
    handler: AnyHandler,
    ids: Iterable[int],
    *,
    pace: Pace | None = None,
    stopping: threading.Event | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Iterator[Replayed]:
    """As `replay`, one by one as they are done, at this pace, and no more once `stopping` is set."""
    stopped = stopping or threading.Event()
    way = _way(store, handler)
    named = not isinstance(ids, OpenFailures)
    for failure_id in ids:
        if stopped.wait(0 if pace is None else pace.wait(monotonic())):
            return
        began = monotonic()
        result = _replay_alone(store, way, failure_id, named=named, now_ms=int(wall() * 1000))
        if pace is not None and result.verdict in _TRIED:
            pace.took(began)
        yield result


def rehearse(
    store: Store, handler: Handler, ids: Iterable[int], *, wall: Callable[[], float] = time.time
) -> list[Replayed]:
    """What `replay` would say now, without an effect: everything happens in one transaction, rolled back.

    The first `REHEARSED_MAX` ids are tried. What only the commit would refuse, such as a deferred constraint,
    is not seen. Raises as `replay` does, and `InvalidInput` for a handler without a transaction.
    """
    if not takes_transaction(handler):
        raise InvalidInput(
            f"{type(handler).__name__} has no transaction that could be rolled back; it cannot be rehearsed"
        )
    named = not isinstance(ids, OpenFailures)
    chosen = list(islice(ids, REHEARSED_MAX))
    way = _Stored(store, handler)
    results: list[Replayed] = []
    with contextlib.suppress(_RolledBack), store.write() as tx:
        now_ms = int(wall() * 1000)
        results = [_replay(way, tx, failure_id, named=named, now_ms=now_ms) for failure_id in chosen]
        raise _RolledBack
    return results


def still_parked(store: Store, *, group: str, matching: Filter = EVERYTHING) -> list[StillParked]:
    """The parked tenants that a filter matches something open of.

    Once everything of `open_failures` was replayed, what is here came in while that lasted.
    """
    with store.read() as tx:
        return failures.still_parked(tx, group=group, matching=matching)


def open_failures(
    store: Store, *, group: str, matching: Filter = EVERYTHING, limit: int | None = None
) -> OpenFailures:
    """The ids to replay, read page by page while they are replayed.

    It ends with what was open when it began, and with what has since joined a parked tenant behind that. A
    tenant whose events come faster than they are replayed is not followed for ever: ask `still_parked`.
    """
    found = _in_rounds(store, group, matching)
    return OpenFailures(found if limit is None else islice(found, limit))


def _in_rounds(store: Store, group: str, matching: Filter) -> Iterator[int]:
    done = 0
    for _ in range(1 + LATE_ROUNDS_MAX):
        horizon = _newest(store, group, matching, after=done)
        if horizon is None:
            return
        while page := _page(store, group, matching, after=done, until=horizon):
            yield from page
            done = page[-1]
        done = horizon
        if matching.reason not in {None, failures.PARKED}:
            return
        matching = replaced(matching, reason=failures.PARKED)


def _newest(store: Store, group: str, matching: Filter, *, after: int) -> int | None:
    with store.read() as tx:
        return failures.newest_open(tx, group=group, matching=matching, after=after)


def _page(store: Store, group: str, matching: Filter, *, after: int, until: int) -> list[int]:
    with store.read() as tx:
        ids = failures.open_ids(tx, group=group, matching=matching, after=after, limit=PAGE)
    return [failure_id for failure_id in ids if failure_id <= until]


class _Way(Protocol):
    """How an event that is open in the ledger is handed over."""

    repeatable: ClassVar[bool]
    """Whether a transaction that failed has undone the handler's effect."""

    def apply(self, tx: Connection, failure: Failure, received: Received) -> Replayed: ...


@dataclass(frozen=True, slots=True)
class _Stored:
    """Effect, dedupe and ledger in one transaction."""

    store: Store
    handler: Handler
    repeatable: ClassVar[bool] = True

    def apply(self, tx: Connection, failure: Failure, received: Received) -> Replayed:
        sifted = dedupe.sift(tx, failure.lane.group, [received])
        if sifted.duplicates:
            return _settled_meanwhile(failure.id)
        if sifted.conflicts:
            return _failed_again(failure.id, ID_CONFLICT)
        error = in_savepoint(self.store, tx, lambda: self.handler.handle(tx, [received]))
        if error is not None:
            return _failed_again(failure.id, Refusal(failures.HANDLER, one_line(error)))
        dedupe.remember(tx, failure.lane.group, sifted.fresh, sifted.digests)
        return Replayed(failure_id=failure.id, verdict=Verdict.REPLAYED)


@dataclass(frozen=True, slots=True)
class _Plain:
    """The effect first, then the ledger."""

    handler: PlainHandler
    repeatable: ClassVar[bool] = False

    def apply(
        self,
        tx: Connection,  # noqa: ARG002 - only holds the failure
        failure: Failure,
        received: Received,
    ) -> Replayed:
        refusal = hand_over(self.handler, [received])
        if refusal is not None:
            return _failed_again(failure.id, refusal)
        return Replayed(failure_id=failure.id, verdict=Verdict.REPLAYED)


def _way(store: Store, handler: AnyHandler) -> _Way:
    return _Stored(store, handler) if takes_transaction(handler) else _Plain(cast("PlainHandler", handler))


def _failed_again(failure_id: int, refusal: Refusal) -> Replayed:
    return Replayed(failure_id=failure_id, verdict=Verdict.FAILED_AGAIN, refusal=refusal)


def _replay_alone(store: Store, way: _Way, failure_id: int, *, named: bool, now_ms: int) -> Replayed:
    """In a transaction of its own. An event whose commit fails has failed again."""
    try:
        with store.write() as tx:
            return _replay(way, tx, failure_id, named=named, now_ms=now_ms)
    except (StoreUnavailable, RetryLater, UnknownFailure):
        raise
    except Exception as error:
        if not way.repeatable:
            raise
        if is_world_at_fault(error):
            raise RetryLater(one_line(error)) from error
        refusal = Refusal(failures.HANDLER, one_line(error))
    with store.write() as tx:
        if _lock(tx, failure_id, named=named) is None:
            return _settled_meanwhile(failure_id)
        failures.failed_again(tx, failure_id, refusal, now_ms=now_ms)
    return _failed_again(failure_id, refusal)


def _lock(tx: Connection, failure_id: int, *, named: bool) -> Failure | None:
    """None for one that is settled and was not asked for by its id."""
    try:
        return failures.lock_open(tx, failure_id)
    except UnknownFailure:
        if named:
            raise
        return None


def _settled_meanwhile(failure_id: int) -> Replayed:
    return Replayed(failure_id=failure_id, verdict=Verdict.ALREADY_PROCESSED)


def _replay(way: _Way, tx: Connection, failure_id: int, *, named: bool, now_ms: int) -> Replayed:
    failure = _lock(tx, failure_id, named=named)
    if failure is None:
        return _settled_meanwhile(failure_id)
    if parking.blocking(tx, failure_id):
        return Replayed(failure_id=failure_id, verdict=Verdict.HELD_BACK)
    received = decode_or_refuse(failure.record)
    if isinstance(received, Refusal):
        result = _failed_again(failure_id, received)
    else:
        result = way.apply(tx, failure, received)
    if result.refusal is not None:
        failures.failed_again(tx, failure_id, result.refusal, now_ms=now_ms)
    else:
        failures.settle(tx, failure_id, failures.Status.REPLAYED, note=result.verdict, now_ms=now_ms)
    return result
