"""Gives failed records to their group again: only to that group, and each in a transaction of its own.

A parked tenant's failures are replayed strictly in the order of its events: while an earlier one is open, the
later ones are held back, untouched.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from enum import StrEnum
from itertools import islice
from typing import Final

from sqlalchemy import Connection

from trunkline.client.batch import ID_CONFLICT, decode_or_refuse
from trunkline.client.blame import one_line
from trunkline.client.handler import Handler, Received, Refusal
from trunkline.client.pace import Pace
from trunkline.client.savepoint import in_savepoint
from trunkline.client.store import Store, dedupe, failures, parking
from trunkline.client.store.failures import EVERYTHING, Failure, Filter

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
    FAILED_AGAIN = "failed_again"
    HELD_BACK = "held_back"
    """Not tried: an earlier event of its parked tenant has to go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One replay; `refusal` says why it failed again."""

    failure_id: int
    verdict: Verdict
    refusal: Refusal | None = None


class _RolledBack(Exception):  # noqa: N818 - control flow
    """Ends a transaction that must leave nothing behind."""


def replay(
    store: Store, handler: Handler, ids: Iterable[int], *, wall: Callable[[], float] = time.time
) -> list[Replayed]:
    """Put stored records through the handler, bytes, id and trace unchanged.

    Idempotent: an event that the group has processed meanwhile is settled without an effect. One that fails
    again stays in the ledger with another attempt counted. Raises `UnknownFailure` at an id that is not open,
    and `StoreUnavailable` or `RetryLater`; the replays before it have happened.
    """
    return list(replaying(store, handler, ids, wall=wall))


def replaying(
    store: Store,
    handler: Handler,
    ids: Iterable[int],
    *,
    pace: Pace | None = None,
    stopping: threading.Event | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Iterator[Replayed]:
    """As `replay`, one by one as they are done, at this pace, and no more once `stopping` is set."""
    stopped = stopping or threading.Event()
    for failure_id in ids:
        if stopped.wait(0 if pace is None else pace.wait(monotonic())):
            return
        began = monotonic()
        with store.write() as tx:
            result = _replay(store, handler, tx, failure_id, now_ms=int(wall() * 1000))
        if pace is not None and result.verdict is not Verdict.HELD_BACK:
            pace.took(began)
        yield result


def rehearse(
    store: Store, handler: Handler, ids: Iterable[int], *, wall: Callable[[], float] = time.time
) -> list[Replayed]:
    """What `replay` would say now, without an effect: everything happens in one transaction, rolled back.

    The first `REHEARSED_MAX` ids are tried. Raises as `replay` does.
    """
    chosen = list(islice(ids, REHEARSED_MAX))
    results: list[Replayed] = []
    with contextlib.suppress(_RolledBack), store.write() as tx:
        now_ms = int(wall() * 1000)
        results = [_replay(store, handler, tx, failure_id, now_ms=now_ms) for failure_id in chosen]
        raise _RolledBack
    return results


def open_failures(
    store: Store, *, group: str, matching: Filter = EVERYTHING, limit: int | None = None
) -> Iterator[int]:
    """The ids to replay, read page by page while they are replayed.

    It ends with what was open when it began, and with what has since joined a parked tenant behind that.
    """
    found = _in_rounds(store, group, matching)
    return found if limit is None else islice(found, limit)


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


def _replay(store: Store, handler: Handler, tx: Connection, failure_id: int, *, now_ms: int) -> Replayed:
    failure = failures.lock_open(tx, failure_id)
    if parking.blocking(tx, failure_id):
        return Replayed(failure_id=failure_id, verdict=Verdict.HELD_BACK)
    result = _apply(store, handler, tx, failure)
    if result.refusal is not None:
        failures.failed_again(tx, failure_id, result.refusal, now_ms=now_ms)
    else:
        failures.settle(tx, failure_id, failures.Status.REPLAYED, note=result.verdict, now_ms=now_ms)
    return result


def _apply(store: Store, handler: Handler, tx: Connection, failure: Failure) -> Replayed:
    received = decode_or_refuse(failure.record)
    if isinstance(received, Refusal):
        return Replayed(failure_id=failure.id, verdict=Verdict.FAILED_AGAIN, refusal=received)
    sifted = dedupe.sift(tx, failure.lane.group, [received])
    if sifted.duplicates:
        return Replayed(failure_id=failure.id, verdict=Verdict.ALREADY_PROCESSED)
    refusal = ID_CONFLICT if sifted.conflicts else _handle(store, handler, tx, received)
    if refusal is not None:
        return Replayed(failure_id=failure.id, verdict=Verdict.FAILED_AGAIN, refusal=refusal)
    dedupe.remember(tx, failure.lane.group, sifted.fresh, sifted.digests)
    return Replayed(failure_id=failure.id, verdict=Verdict.REPLAYED)


def _handle(store: Store, handler: Handler, tx: Connection, received: Received) -> Refusal | None:
    error = in_savepoint(store, tx, lambda: handler.handle(tx, [received]))
    return None if error is None else Refusal(failures.HANDLER, one_line(error))
