"""What can be asked of the ledger. Reads only; results are plain values ready for JSON."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, select, tuple_

from trunkline.errors import InvalidInput
from trunkline.services.audit.entry import Entry, from_us, is_erased, to_us, unpack_headers
from trunkline.services.audit.tables import AUDIT_EVENT, AUDIT_HEAD
from trunkline.services.audit.text_index import matches

PAGE_MAX: Final = 1_000
ENTRY_COLUMNS: Final = tuple(AUDIT_EVENT.c[name] for name in Entry.__struct_fields__)
"""The columns that make an `Entry`, in its order."""


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; everything given must hold. Times are event times, `time_from` inclusive, `time_to`
    exclusive.

    `text` means all of its words, anywhere in the body's values, the action or the note.
    """

    tenant: str | None = None
    time_from: datetime | None = None
    time_to: datetime | None = None
    actor: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource: str | None = None
    outcome: str | None = None
    type: str | None = None
    correlation_id: str | None = None
    text: str | None = None


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """An entry for people and programs. `data` is the body as JSON where it is JSON, else as text.

    `erased`: its tenant has ended, and what it said is gone.
    """

    tenant: str
    seq: int
    id: str
    source: str
    type: str
    time: datetime
    ingested_at: datetime
    actor_type: str | None
    actor_id: str | None
    action: str | None
    resource_type: str | None
    resource_id: str | None
    outcome: str | None
    correlation_id: str | None
    causation_id: str | None
    note: str | None
    topic: str
    partition: int
    offset: int
    headers: dict[str, str | None]
    data: Any
    erased: bool


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the entries found, newest first. `next` continues after the last one; None at the end."""

    entries: list[EntryView]
    next: str | None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """How much a tenant's ledger holds."""

    tenant: str
    size: int
    root: bytes
    updated_at: datetime


def search(tx: Connection, wanted: Search, *, limit: int = 100, after: str | None = None) -> Page:
    """One page of what matches. Pages are stable: an entry that arrives meanwhile moves no other to another
    page.

    Raises `InvalidInput` for a limit out of bounds or a cursor that `search` did not make.
    """
    if not 1 <= limit <= PAGE_MAX:
        raise InvalidInput(f"a page has 1 to {PAGE_MAX} entries, not {limit}")
    table = AUDIT_EVENT.c
    order = (table.time_us, table.tenant, table.seq)
    query = select(*ENTRY_COLUMNS).where(*_conditions(tx, wanted))
    if after is not None:
        query = query.where(tuple_(*order) < tuple_(*_decode_cursor(after)))
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1)
    rows = tx.execute(query).mappings().all()
    page = rows[:limit]
    return Page(
        entries=[view(_entry(row)) for row in page],
        next=_encode_cursor(page[-1]) if len(rows) > limit else None,
    )


def find(tx: Connection, event_id: str, *, tenant: str | None = None) -> list[Entry]:
    """The entries with this event id: usually one, more when sources or tenants share an id."""
    query = select(*ENTRY_COLUMNS).where(AUDIT_EVENT.c.id == event_id)
    if tenant is not None:
        query = query.where(AUDIT_EVENT.c.tenant == tenant)
    return [_entry(row) for row in tx.execute(query.limit(PAGE_MAX)).mappings()]


def last_seq(tx: Connection, tenant: str) -> int:
    """The place of the tenant's newest entry; -1 without one."""
    size = tx.execute(select(AUDIT_HEAD.c.size).where(AUDIT_HEAD.c.tenant == tenant)).scalar()
    return (size or 0) - 1


def behind(tx: Connection, tenant: str, *, after: int, limit: int) -> list[EntryView]:
    """The tenant's entries behind a place, oldest first."""
    table = AUDIT_EVENT.c
    query = select(*ENTRY_COLUMNS).where(table.tenant == tenant, table.seq > after)
    return [view(_entry(row)) for row in tx.execute(query.order_by(table.seq).limit(limit)).mappings()]


def heads(tx: Connection, *, tenant: str | None = None) -> list[Head]:
    """The tenants that have a ledger, by name."""
    query = select(AUDIT_HEAD).order_by(AUDIT_HEAD.c.tenant)
    if tenant is not None:
        query = query.where(AUDIT_HEAD.c.tenant == tenant)
    return [
        Head(tenant=row.tenant, size=row.size, root=row.root, updated_at=from_us(row.updated_us))
        for row in tx.execute(query)
    ]


def view(entry: Entry) -> EntryView:
    """The entry as it is shown."""
    shown = {
        name: getattr(entry, name) for name in EntryView.__struct_fields__ if name in Entry.__struct_fields__
    }
    headers = unpack_headers(entry.headers)
    return EntryView(
        **shown
        | {
            "time": from_us(entry.time_us),
            "ingested_at": from_us(entry.ingested_us),
            "headers": {name: None if raw is None else raw.decode(errors="replace") for name, raw in headers},
            "data": _data(entry.body),
            "erased": is_erased(entry),
        }
    )


def _conditions(tx: Connection, wanted: Search) -> list[ColumnElement[bool]]:
    table = AUDIT_EVENT.c
    conditions: list[ColumnElement[bool]] = []
    for column, value in (
        (table.tenant, wanted.tenant),
        (table.actor_id, wanted.actor),
        (table.action, wanted.action),
        (table.resource_type, wanted.resource_type),
        (table.resource_id, wanted.resource),
        (table.outcome, wanted.outcome),
        (table.type, wanted.type),
        (table.correlation_id, wanted.correlation_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.time_from is not None:
        conditions.append(table.time_us >= to_us(wanted.time_from))
    if wanted.time_to is not None:
        conditions.append(table.time_us < to_us(wanted.time_to))
    if wanted.text is not None:
        conditions.append(matches(tx, wanted.text))
    return conditions


def _entry(row: RowMapping) -> Entry:
    return Entry(**row)


def _data(body: bytes | None) -> Any:
    if body is None:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode(errors="replace")


def _encode_cursor(row: RowMapping) -> str:
    return urlsafe_b64encode(msgspec.json.encode((row["time_us"], row["tenant"], row["seq"]))).decode()


def _decode_cursor(cursor: str) -> tuple[int, str, int]:
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor), type=tuple[int, str, int])
    except (ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            f"cursor {cursor!r}: not one that a search returned; search again from the start"
        ) from error
