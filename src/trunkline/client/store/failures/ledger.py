"""How failures come into the ledger, and how one is settled."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, insert, select, update

from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import Refusal
from trunkline.client.store import parking
from trunkline.client.store.failures.failure import Failure, Status, failure_of
from trunkline.client.store.position import Lane
from trunkline.client.store.tables import FAILURE
from trunkline.client.store.text import storable
from trunkline.codec.record import Record

_T: Final = FAILURE.c


def add(tx: Connection, lane: Lane, record: Record, refusal: Refusal, *, now_ms: int) -> int:
    """Record a failure and return its id. The same record failing again counts as another attempt."""
    found = tx.execute(select(_T.id).where(*_at(lane, record))).scalar()
    changing = {"reason": refusal.reason, "error": storable(refusal.detail), "last_seen_ms": now_ms}
    if found is not None:
        row = update(FAILURE).where(_T.id == found)
        tx.execute(row.values(attempts=_T.attempts + 1, status=Status.OPEN, note=None, **changing))
        return int(found)
    added = tx.execute(
        insert(FAILURE)
        .values(
            consumer_group=lane.group,
            cluster_id=lane.cluster_id,
            topic=lane.topic,
            topic_id=lane.topic_id,
            partition=lane.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            tenantid=parking.tenant_of(record),
            value=record.value,
            headers=msgspec.json.encode(record.headers).decode(),
            attempts=1,
            first_seen_ms=now_ms,
            status=Status.OPEN,
            **changing,
        )
        .returning(_T.id)
    )
    return int(added.scalar_one())


def get(tx: Connection, failure_id: int) -> Failure:
    """One failure. Raises `UnknownFailure`."""
    return _get(tx, failure_id, select(FAILURE))


def lock_open(tx: Connection, failure_id: int) -> Failure:
    """One open failure, which nobody else settles until the transaction ends. Raises `UnknownFailure`."""
    failure = _get(tx, failure_id, select(FAILURE).with_for_update())
    if failure.status is not Status.OPEN:
        raise UnknownFailure(f"failure {failure.id} is {failure.status} already ({failure.note})")
    return failure


def _get(tx: Connection, failure_id: int, query: Select[Any]) -> Failure:
    row = tx.execute(query.where(_T.id == failure_id)).mappings().one_or_none()
    if row is None:
        raise UnknownFailure(f"no failure {failure_id} in this ledger; `trunkline failures list` shows them")
    return failure_of(row)


def discard(tx: Connection, ids: Sequence[int], *, note: str, now_ms: int) -> None:
    """Give up open failures, for a reason that stays on record. Raises `UnknownFailure`, for all or none."""
    for failure_id in ids:
        lock_open(tx, failure_id)
        settle(tx, failure_id, Status.DISCARDED, note=note, now_ms=now_ms)


def settle(tx: Connection, failure_id: int, status: Status, *, note: str, now_ms: int) -> None:
    """Close a failure. If it was the last open one of a parked tenant, the tenant flows again."""
    row = update(FAILURE).where(_T.id == failure_id)
    tx.execute(row.values(status=status, note=storable(note), last_seen_ms=now_ms))
    parking.release(tx, failure_id)


def failed_again(tx: Connection, failure_id: int, refusal: Refusal, *, now_ms: int) -> None:
    """Count another attempt that did not succeed."""
    tx.execute(
        update(FAILURE)
        .where(_T.id == failure_id)
        .values(
            attempts=_T.attempts + 1,
            reason=refusal.reason,
            error=storable(refusal.detail),
            last_seen_ms=now_ms,
        )
    )


def _at(lane: Lane, record: Record) -> tuple[Any, ...]:
    return (
        _T.consumer_group == lane.group,
        _T.cluster_id == lane.cluster_id,
        _T.topic == lane.topic,
        _T.topic_id == lane.topic_id,
        _T.partition == lane.partition,
        _T.offset == record.offset,
        _T.timestamp_ms == record.timestamp_ms,
    )
