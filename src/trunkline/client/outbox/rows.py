"""What the relay and its operator ask of the outbox's table.

Anybody's SQL may have written a row. Whatever is in it, it stops its own tenant at the most: SQLite keeps
bytes in a column of texts, and texts that are no UTF-8, which its driver refuses to read, so there all of it
is read as bytes. A row may also be older than the rule that it names a tenant (`migrations/r0002`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    TextClause,
    bindparam,
    cast,
    delete,
    func,
    select,
    text,
    update,
)

from trunkline.catalogue.events import Event
from trunkline.client.errors import UnknownFailure
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.store.text import storable
from trunkline.codec import Envelope, Record, decode
from trunkline.codec.errors import InvalidAttribute

TENANTS_MAX: Final = 1_000
"""Tenants in one look around; the next look goes on behind the last of them."""

PER_TENANT_MAX: Final = 50
"""Events of one tenant in memory; the others stay in the table."""

LIST_MAX: Final = 1_000
DELETE_MAX: Final = 500

COUNT_MAX: Final = 100_000
"""Where counting what is pending ends: counting costs what it counts."""

_T: Final = OUTBOX_EVENT.c
_PENDING: Final = _T.discarded_ms.is_(None)

_IS_TEXT: Final = "aggregateid < x''"
"""On SQLite: the empty blob is the first value behind every text (sqlite.org/datatype3.html, section 4.1)."""

_SQLITE: Final = "sqlite"


def _tenants(named: str, told: str) -> TextClause:
    """From tenant to tenant through the index, however many events each of them has."""
    return text(
        "WITH RECURSIVE found (tenant) AS ("  # noqa: S608 - of constants
        f"SELECT min(aggregateid) FROM outbox_event WHERE discarded_ms IS NULL AND {named} "
        "AND aggregateid > :after "
        f"UNION ALL SELECT (SELECT min(aggregateid) FROM outbox_event WHERE discarded_ms IS NULL AND {named} "
        "AND aggregateid > found.tenant) FROM found WHERE found.tenant IS NOT NULL"
        f") SELECT {told} FROM found WHERE tenant IS NOT NULL LIMIT :most"
    )


_TENANTS: Final = _tenants("true", "tenant")
_TENANTS_OF_SQLITE: Final = _tenants(_IS_TEXT, "CAST(tenant AS BLOB)")
Reading: TypeAlias = Callable[[ColumnElement[Any]], ColumnElement[Any]]


def _as_it_is(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def _as_bytes(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(column, LargeBinary)


def _heads(read: Reading) -> Select[Any]:
    return (
        select(_T.position, read(_T.id), read(_T.aggregatetype), read(_T.payload), read(_T.headers))
        .where(_T.aggregateid == bindparam("tenant"), _PENDING)
        .order_by(_T.position)
        .limit(PER_TENANT_MAX)
    )


def _stuck(read: Reading) -> Select[Any]:
    return (
        select(
            _T.position,
            read(_T.aggregateid).label("tenant"),
            read(_T.aggregatetype).label("topic"),
            read(_T.type).label("type"),
            read(_T.id).label("id"),
            _T.attempts,
            _T.stuck_since_ms,
            _T.error,
        )
        .where(_T.stuck_since_ms.is_not(None), _PENDING)
        .order_by(_T.position)
    )


_HEADS: Final = _heads(_as_it_is)
_HEADS_OF_SQLITE: Final = _heads(_as_bytes)
_STUCK: Final = _stuck(_as_it_is)
_STUCK_OF_SQLITE: Final = _stuck(_as_bytes)
_REMOVE: Final = delete(OUTBOX_EVENT).where(_T.position.in_(bindparam("positions", expanding=True)))


@dataclass(frozen=True, slots=True)
class Pending:
    """One event to publish. It is decoded when its turn has come.

    The types are those of rows that `add` has written; others are found out then.
    """

    position: int
    id: str
    topic: str
    tenant: str
    payload: bytes
    headers: str

    def envelope(self) -> Envelope[Event]:
        """The event as it was added. Raises `CodecError` if this version does not know it."""
        for name, value in (("id", self.id), ("aggregatetype", self.topic), ("headers", self.headers)):
            if not isinstance(value, str):
                raise InvalidAttribute(f"{name} at position {self.position} is no text")
        try:
            headers = msgspec.json.decode(self.headers, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise InvalidAttribute(
                f"the headers at position {self.position} are no JSON object of texts: {error}"
            ) from error
        record = Record(
            topic=self.topic,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=self.tenant.encode(),
            value=self.payload,
            headers=tuple((name, value.encode()) for name, value in headers.items()),
        )
        return decode(record)


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was refused; its tenant's later events wait behind it. Times are Unix milliseconds."""

    position: int
    tenant: str
    topic: str
    type: str
    id: str
    attempts: int
    stuck_since_ms: int
    error: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How much waits. `pending` counts up to `COUNT_MAX`; `oldest_ms` is when the oldest was added."""

    pending: int
    oldest_ms: int | None
    stuck: int


def tenants_behind(tx: Connection, after: str) -> list[str]:
    """The next tenants that have pending events, in the order of the index, at most `TENANTS_MAX`."""
    query = _TENANTS_OF_SQLITE if tx.dialect.name == _SQLITE else _TENANTS
    found = tx.execute(query, {"after": after, "most": TENANTS_MAX}).scalars()
    return [tenant for tenant in map(_text, found) if isinstance(tenant, str)]


def heads(tx: Connection, tenants: Iterable[str]) -> list[Pending]:
    """The first events of each tenant, in order."""
    query = _HEADS_OF_SQLITE if tx.dialect.name == _SQLITE else _HEADS
    return [
        _pending(tenant, tuple(row)) for tenant in tenants for row in tx.execute(query, {"tenant": tenant})
    ]


def _pending(tenant: str, row: Sequence[Any]) -> Pending:
    position, event_id, topic, payload, headers = row
    return Pending(position, _text(event_id), _text(topic), tenant, payload, _text(headers))


def _shown(row: Mapping[Any, Any]) -> Stuck:
    readable: dict[str, Any] = {
        name: value.decode(errors="replace") if isinstance(value, bytes) else value
        for name, value in row.items()
    }
    return Stuck(**readable)


def _text(value: Any) -> Any:
    """The text that these bytes are; as they are if they are none."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def remove(tx: Connection, positions: Sequence[int]) -> None:
    """Forget events that are in the log."""
    for begin in range(0, len(positions), DELETE_MAX):
        tx.execute(_REMOVE, {"positions": positions[begin : begin + DELETE_MAX]})


def failed(tx: Connection, position: int, *, error: str, refused: bool, now_ms: int) -> None:
    """Record an attempt that did not succeed; `refused` if the event is surely not in the log."""
    since = func.coalesce(_T.stuck_since_ms, now_ms) if refused else None
    tx.execute(
        update(OUTBOX_EVENT)
        .where(_T.position == position, _PENDING)
        .values(attempts=_T.attempts + 1, error=storable(error), stuck_since_ms=since)
    )


def stuck(tx: Connection, *, limit: int = LIST_MAX) -> list[Stuck]:
    """The events that were refused and hold up their tenants, oldest first."""
    query = _STUCK_OF_SQLITE if tx.dialect.name == _SQLITE else _STUCK
    return [_shown(row) for row in tx.execute(query.limit(min(limit, LIST_MAX))).mappings()]


def discard(tx: Connection, positions: Collection[int], *, note: str, now_ms: int) -> None:
    """Give up stuck events; each stays on record, and its tenant goes on behind it.

    Raises `UnknownFailure` for a position that is not stuck; none is discarded then, if the transaction
    rolls back.
    """
    for position in sorted(positions):
        row = (
            update(OUTBOX_EVENT)
            .where(_T.position == position, _T.stuck_since_ms.is_not(None), _PENDING)
            .values(discarded_ms=now_ms, note=storable(note))
        )
        if tx.execute(row).rowcount == 0:
            raise UnknownFailure(f"no stuck event at position {position}; `trunkline relay stuck` lists them")


def status(tx: Connection) -> Status:
    """How much waits in the outbox, and since when."""
    some = select(_T.position).where(_PENDING).limit(COUNT_MAX).subquery()
    oldest = select(_T.added_ms).where(_PENDING).order_by(_T.position).limit(1)
    return Status(
        pending=tx.execute(select(func.count()).select_from(some)).scalar_one(),
        oldest_ms=tx.execute(oldest).scalar(),
        stuck=tx.execute(select(func.count()).where(_T.stuck_since_ms.is_not(None), _PENDING)).scalar_one(),
    )
