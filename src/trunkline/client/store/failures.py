"""The failure ledger: every record that was skipped, whole, until somebody replays or discards it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from trunkline.client.errors import UnknownFailure
from trunkline.client.handler import Refusal
from trunkline.client.store import parking
from trunkline.client.store.position import Lane
from trunkline.client.store.tables import FAILURE
from trunkline.codec.record import Record

HANDLER: Final = "handler"
PARKED: Final = "parked"
ID_CONFLICT: Final = "id_conflict"

REASONS: Final[Mapping[str, str]] = {
    "not_cloudevents": "the record is not a CloudEvent",
    "missing_header": "a required attribute is missing",
    "invalid_attribute": "an attribute is malformed",
    "key_mismatch": "the key is not the tenant id",
    "unknown_type": "the event type is not declared",
    "wrong_topic": "the event type belongs to another topic",
    "undecodable": "the value is not JSON",
    "invalid_data": "the data breaks its type's constraints",
    ID_CONFLICT: "another event with this identity but other content was processed before",
    HANDLER: "the service could not handle the event",
    PARKED: "an earlier event of the tenant failed; this one waits behind it to keep the order",
}
"""Why a record can end up here: the codec's reasons and the runtime's own."""

LIST_MAX: Final = 1_000
ERROR_CHARS_MAX: Final = 2_000


class Status(StrEnum):
    """What has become of a failure."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One skipped record. Times are Unix milliseconds; `note` says how or why it was settled."""

    id: int
    lane: Lane
    record: Record
    reason: str
    error: str
    attempts: int
    first_seen_ms: int
    last_seen_ms: int
    status: Status
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which open failures; None leaves nothing out.

    `since_ms` is the Unix time in milliseconds from which on they first failed. Those that have failed
    `attempts_max` times or more are in quarantine: left out, unless somebody names them.
    """

    reason: str | None = None
    tenant: str | None = None
    topic: str | None = None
    since_ms: int | None = None
    attempts_max: int | None = None


EVERYTHING: Final = Filter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Failures that have something in common. `attempts` is their sum, the first ones included.

    `tenants` counts those with a valid id; `oldest_ms` is when the first of them failed first.
    """

    status: Status
    reason: str
    topic: str
    failures: int
    tenants: int
    attempts: int
    oldest_ms: int


_T: Final = FAILURE.c


def add(tx: Connection, lane: Lane, record: Record, refusal: Refusal, *, now_ms: int) -> int:
    """Record a failure and return its id. The same record failing again counts as another attempt."""
    found = tx.execute(select(_T.id).where(*_at(lane, record))).scalar()
    changing = {"reason": refusal.reason, "error": _error(refusal), "last_seen_ms": now_ms}
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


def listed(
    tx: Connection, *, group: str | None = None, status: Status | None = Status.OPEN, limit: int = LIST_MAX
) -> list[Failure]:
    """The newest failures, oldest first; of all groups and with any status where None is given."""
    query = select(FAILURE).order_by(_T.id.desc()).limit(min(limit, LIST_MAX))
    if group is not None:
        query = query.where(_T.consumer_group == group)
    if status is not None:
        query = query.where(_T.status == status)
    return [_failure(row) for row in tx.execute(query).mappings()][::-1]


def counts(tx: Connection) -> dict[tuple[str, str], int]:
    """How many rows there are of each `(status, reason)`."""
    rows = tx.execute(select(_T.status, _T.reason, func.count()).group_by(_T.status, _T.reason))
    return {(status, reason): number for status, reason, number in rows}


def open_ids(
    tx: Connection,
    *,
    group: str,
    matching: Filter = EVERYTHING,
    after: int = 0,
    limit: int | None = None,
) -> list[int]:
    """The ids of a group's open failures behind the id `after`, in the order in which they failed."""
    query = select(_T.id).where(_T.id > after, *_open_of(group, matching)).order_by(_T.id)
    return list(tx.execute(query.limit(limit)).scalars())


def newest_open(tx: Connection, *, group: str, matching: Filter = EVERYTHING, after: int = 0) -> int | None:
    """The greatest id of what `open_ids` gives, None where it gives nothing."""
    query = select(func.max(_T.id)).where(_T.id > after, *_open_of(group, matching))
    return tx.execute(query).scalar()


def quarantined(tx: Connection, *, group: str, matching: Filter) -> int:
    """How many open failures are left out only because they have failed too often."""
    if matching.attempts_max is None:
        return 0
    others = replace(matching, attempts_max=None)
    query = select(func.count()).where(*_open_of(group, others), _T.attempts >= matching.attempts_max)
    return int(tx.execute(query).scalar_one())


def totals(tx: Connection, *, group: str, matching: Filter | None = None) -> list[Total]:
    """A group's failures by status, reason and topic; only the open ones of a filter where one is given."""
    columns = (_T.status, _T.reason, _T.topic)
    where = (_T.consumer_group == group,) if matching is None else _open_of(group, matching)
    rows = tx.execute(
        select(
            *columns,
            func.count(),
            func.count(_T.tenantid.distinct()),
            func.sum(_T.attempts),
            func.min(_T.first_seen_ms),
        )
        .where(*where)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [
        Total(
            status=Status(status),
            reason=reason,
            topic=topic,
            failures=number,
            tenants=tenants,
            attempts=int(attempts),
            oldest_ms=oldest,
        )
        for status, reason, topic, number, tenants, attempts, oldest in rows
    ]


def get(tx: Connection, failure_id: int) -> Failure:
    """One failure. Raises `UnknownFailure`."""
    return _get(tx, failure_id, select(FAILURE))


def lock_open(tx: Connection, failure_id: int) -> Failure:
    """One open failure, which nobody else settles until the transaction ends. Raises `UnknownFailure`."""
    failure = _get(tx, failure_id, select(FAILURE).with_for_update())
    require_open(failure)
    return failure


def _get(tx: Connection, failure_id: int, query: Select[Any]) -> Failure:
    row = tx.execute(query.where(_T.id == failure_id)).mappings().one_or_none()
    if row is None:
        raise UnknownFailure(f"no failure {failure_id} in this ledger; `trunkline failures list` shows them")
    return _failure(row)


def discard(tx: Connection, ids: Sequence[int], *, note: str, now_ms: int) -> None:
    """Give up open failures, for a reason that stays on record. Raises `UnknownFailure`, for all or none."""
    for failure_id in ids:
        lock_open(tx, failure_id)
        settle(tx, failure_id, Status.DISCARDED, note=note, now_ms=now_ms)


def settle(tx: Connection, failure_id: int, status: Status, *, note: str, now_ms: int) -> None:
    """Close a failure. If it was the last open one of a parked tenant, the tenant flows again."""
    row = update(FAILURE).where(_T.id == failure_id)
    tx.execute(row.values(status=status, note=note[:ERROR_CHARS_MAX], last_seen_ms=now_ms))
    parking.release(tx, failure_id)


def failed_again(tx: Connection, failure_id: int, refusal: Refusal, *, now_ms: int) -> None:
    """Count another attempt that did not succeed."""
    tx.execute(
        update(FAILURE)
        .where(_T.id == failure_id)
        .values(
            attempts=_T.attempts + 1,
            reason=refusal.reason,
            error=_error(refusal),
            last_seen_ms=now_ms,
        )
    )


def require_open(failure: Failure) -> None:
    """Raises `UnknownFailure` for one that is settled."""
    if failure.status is not Status.OPEN:
        raise UnknownFailure(f"failure {failure.id} is {failure.status} already ({failure.note})")


def _open_of(group: str, matching: Filter) -> tuple[ColumnElement[bool], ...]:
    conditions = [_T.consumer_group == group, _T.status == Status.OPEN]
    if matching.reason is not None:
        conditions.append(_T.reason == matching.reason)
    if matching.tenant is not None:
        conditions.append(_T.tenantid == matching.tenant)
    if matching.topic is not None:
        conditions.append(_T.topic == matching.topic)
    if matching.since_ms is not None:
        conditions.append(_T.first_seen_ms >= matching.since_ms)
    if matching.attempts_max is not None:
        conditions.append(_T.attempts < matching.attempts_max)
    return tuple(conditions)


def _error(refusal: Refusal) -> str:
    """The text without what a database may not take: NUL (PostgreSQL) and lone surrogates."""
    text = refusal.detail[:ERROR_CHARS_MAX].replace("\0", "\ufffd")
    return text.encode(errors="replace").decode()


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


def _failure(row: Any) -> Failure:
    headers = msgspec.json.decode(row["headers"], type=tuple[tuple[str, bytes | None], ...])
    return Failure(
        id=row["id"],
        lane=Lane(
            group=row["consumer_group"],
            cluster_id=row["cluster_id"],
            topic=row["topic"],
            topic_id=row["topic_id"],
            partition=row["partition"],
        ),
        record=Record(
            topic=row["topic"],
            partition=row["partition"],
            offset=row["offset"],
            timestamp_ms=row["timestamp_ms"],
            key=row["key"],
            value=row["value"],
            headers=headers,
        ),
        reason=row["reason"],
        error=row["error"],
        attempts=row["attempts"],
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
        status=Status(row["status"]),
        note=row["note"],
    )
