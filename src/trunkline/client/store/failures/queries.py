"""What the ledger holds: which failures, how many, and what they have in common."""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from trunkline.client.store.failures.failure import Failure, Status, failure_of
from trunkline.client.store.tables import FAILURE, PARKED_TENANT

LIST_MAX: Final = 1_000

_T: Final = FAILURE.c


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StillParked:
    """A parked tenant and how many open failures it has in a topic."""

    topic: str
    tenantid: str
    failures: int


def listed(
    tx: Connection, *, group: str | None = None, status: Status | None = Status.OPEN, limit: int = LIST_MAX
) -> list[Failure]:
    """The newest failures, oldest first; of all groups and with any status where None is given."""
    query = select(FAILURE).order_by(_T.id.desc()).limit(min(limit, LIST_MAX))
    if group is not None:
        query = query.where(_T.consumer_group == group)
    if status is not None:
        query = query.where(_T.status == status)
    return [failure_of(row) for row in tx.execute(query).mappings()][::-1]


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


def still_parked(tx: Connection, *, group: str, matching: Filter = EVERYTHING) -> list[StillParked]:
    """The parked tenants whose open failures a filter matches, those with the most first."""
    parked = PARKED_TENANT.c
    number = func.count()
    rows = tx.execute(
        select(_T.topic, _T.tenantid, number)
        .join(
            PARKED_TENANT,
            (parked.consumer_group == _T.consumer_group)
            & (parked.topic == _T.topic)
            & (parked.tenantid == _T.tenantid),
        )
        .where(*_open_of(group, matching))
        .group_by(_T.topic, _T.tenantid)
        .order_by(number.desc(), _T.topic, _T.tenantid)
        .limit(LIST_MAX)
    )
    return [StillParked(topic=topic, tenantid=tenant, failures=found) for topic, tenant, found in rows]


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
