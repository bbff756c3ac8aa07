"""Gives failed records to their group again: only to that group, and each in a transaction of its own."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from trunkline.client.batch import ID_CONFLICT, decode_or_refuse, handle_one
from trunkline.client.handler import Handler, Refusal
from trunkline.client.store import Store, dedupe, failures
from trunkline.client.store.failures import Failure


class Verdict(StrEnum):
    """How a replay ended."""

    REPLAYED = "replayed"
    ALREADY_PROCESSED = "already_processed"
    FAILED_AGAIN = "failed_again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One replay; `refusal` says why it failed again."""

    failure_id: int
    verdict: Verdict
    refusal: Refusal | None = None


def replay(
    store: Store, handler: Handler, ids: Iterable[int], *, wall: Callable[[], float] = time.time
) -> list[Replayed]:
    """Put stored records through the handler, bytes, id and trace unchanged.

    Idempotent: an event that the group has processed meanwhile is settled without an effect. One that fails
    again stays in the ledger with another attempt counted. Raises `UnknownFailure` at an id that is not open,
    and `StoreUnavailable` or `RetryLater`; the replays before it have happened.
    """
    return [_replay_one(store, handler, failure_id, now_ms=int(wall() * 1000)) for failure_id in ids]


def _replay_one(store: Store, handler: Handler, failure_id: int, *, now_ms: int) -> Replayed:
    with store.write() as tx:
        failure = failures.get(tx, failure_id)
        failures.require_open(failure)
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
    refusal = ID_CONFLICT if sifted.conflicts else handle_one(store, handler, tx, received)
    if refusal is not None:
        return Replayed(failure_id=failure.id, verdict=Verdict.FAILED_AGAIN, refusal=refusal)
    dedupe.remember(tx, failure.lane.group, sifted.fresh, sifted.digests)
    return Replayed(failure_id=failure.id, verdict=Verdict.REPLAYED)
