"""The rows of the query log, and what is read from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from trunkline.errors import InvalidInput
from trunkline.services.query.cedar import Principal
from trunkline.services.query.tables import QUERY_LOG

STATES: Final = ("running", "completed", "failed", "cancelled", "denied")
RUNNING: Final = "running"

REASON_MAX: Final = 2_000
"""As `catalogue.events.fields.Reason`."""

_Q: Final = QUERY_LOG.c
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One statement that somebody wanted to run. Times are in UTC, durations in microseconds."""

    query_id: str
    user_id: str
    teams: tuple[str, ...]
    roles: tuple[str, ...]
    origin: str
    fingerprint: str
    sql: str
    state: str
    submitted_at: datetime
    ended_at: datetime | None = None
    policy_revision: int | None = None
    tables: tuple[str, ...] = ()
    policy_id: str | None = None
    asset: str | None = None
    error_code: str | None = None
    reason: str | None = None
    duration_us: int | None = None
    cpu_us: int | None = None
    rows_returned: int | None = None
    rows_scanned: int | None = None
    bytes_scanned: int | None = None

    @property
    def reader(self) -> Principal:
        """Who wanted it."""
        return Principal(user=self.user_id, teams=frozenset(self.teams), roles=frozenset(self.roles))


def add(tx: Connection, tenant: str, entry: Entry, *, overdue_at: datetime | None = None) -> None:
    """Add an entry; one that runs is given up at `overdue_at`."""
    submitted = to_us(entry.submitted_at)
    tx.execute(
        insert(QUERY_LOG),
        {
            "query_id": entry.query_id,
            "tenant": tenant,
            "user_id": entry.user_id,
            "teams": _json(entry.teams),
            "roles": _json(entry.roles),
            "origin": entry.origin,
            "fingerprint": entry.fingerprint,
            "sql": entry.sql,
            "state": entry.state,
            "submitted_us": submitted,
            "overdue_us": submitted if overdue_at is None else to_us(overdue_at),
            "ended_us": None if entry.ended_at is None else to_us(entry.ended_at),
            "policy_revision": entry.policy_revision,
            "tables": _json(entry.tables),
            "policy_id": entry.policy_id,
            "asset": entry.asset,
            "error_code": entry.error_code,
            "reason": entry.reason,
        },
    )


def end(tx: Connection, query_id: str, state: str, *, at: datetime, **found: Any) -> bool:
    """What became of a query that ran; False if that was said before. `found` are further columns."""
    ended = (
        update(QUERY_LOG)
        .where(_Q.query_id == query_id, _Q.state == RUNNING)
        .values(state=state, ended_us=to_us(at), **found)
    )
    return tx.execute(ended).rowcount > 0


def overdue(tx: Connection, *, now: datetime, limit: int) -> list[tuple[str, Entry]]:
    """Queries that have lost their engine, with their tenants, oldest first."""
    query = (
        select(QUERY_LOG)
        .where(_Q.state == RUNNING, _Q.overdue_us < to_us(now))
        .order_by(_Q.overdue_us)
        .limit(limit)
    )
    return [(row["tenant"], _entry(row)) for row in tx.execute(query).mappings()]


def entry(tx: Connection, tenant: str, query_id: str) -> Entry | None:
    """One entry of the tenant."""
    found = (
        tx.execute(select(QUERY_LOG).where(_Q.tenant == tenant, _Q.query_id == query_id)).mappings().first()
    )
    return None if found is None else _entry(found)


def entries(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    before: str | None = None,
    state: str | None = None,
    user: str | None = None,
) -> list[Entry]:
    """The tenant's entries, newest first, those older than the entry `before`. Raises `InvalidInput`."""
    if state is not None and state not in STATES:
        raise InvalidInput(f"state {state}: it is one of {', '.join(STATES)}")
    query = select(QUERY_LOG).where(_Q.tenant == tenant).order_by(_Q.query_id.desc()).limit(limit)
    if before is not None:
        query = query.where(_Q.query_id < before)
    if state is not None:
        query = query.where(_Q.state == state)
    if user is not None:
        query = query.where(_Q.user_id == user)
    return [_entry(row) for row in tx.execute(query).mappings()]


def prune(tx: Connection, tenant: str, *, keep: int) -> int:
    """Delete all but the newest entries of the tenant; returns how many went."""
    oldest = select(_Q.query_id).where(_Q.tenant == tenant).order_by(_Q.query_id.desc()).offset(keep).limit(1)
    last = tx.execute(oldest).scalar()
    if last is None:
        return 0
    gone = delete(QUERY_LOG).where(_Q.tenant == tenant, _Q.query_id <= last, _Q.state != RUNNING)
    return tx.execute(gone).rowcount


def tenants(tx: Connection) -> list[str]:
    """Who has entries."""
    return list(tx.execute(select(_Q.tenant).distinct()).scalars())


def erase(tx: Connection, tenant: str) -> Mapping[str, int]:
    """Delete all entries of the tenant."""
    return {QUERY_LOG.name: tx.execute(delete(QUERY_LOG).where(_Q.tenant == tenant)).rowcount}


def to_us(moment: datetime) -> int:
    """Microseconds of Unix time, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _json(words: Sequence[str]) -> str:
    return msgspec.json.encode(sorted(words)).decode()


def _entry(row: RowMapping) -> Entry:
    ended = row["ended_us"]
    return Entry(
        query_id=row["query_id"],
        user_id=row["user_id"],
        teams=tuple(msgspec.json.decode(row["teams"])),
        roles=tuple(msgspec.json.decode(row["roles"])),
        origin=row["origin"],
        fingerprint=row["fingerprint"],
        sql=row["sql"],
        state=row["state"],
        submitted_at=_EPOCH + timedelta(microseconds=row["submitted_us"]),
        ended_at=None if ended is None else _EPOCH + timedelta(microseconds=ended),
        policy_revision=row["policy_revision"],
        tables=tuple(msgspec.json.decode(row["tables"])),
        policy_id=row["policy_id"],
        asset=row["asset"],
        error_code=row["error_code"],
        reason=row["reason"],
        duration_us=row["duration_us"],
        cpu_us=row["cpu_us"],
        rows_returned=row["rows_returned"],
        rows_scanned=row["rows_scanned"],
        bytes_scanned=row["bytes_scanned"],
    )
