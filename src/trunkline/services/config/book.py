"""What is on record: entries, where the highest version of a name stays, and the changes that led there.

Everybody who writes holds the book's lock until the transaction ends. Versions are therefore counted by one
at a time, and the places of changes are in the order of commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.client.broadcast.entries import Change, Entry, FlagRule, Name
from trunkline.client.store.text import storable
from trunkline.services.config.tables import CONFIG_CHANGE, CONFIG_CURSOR, CONFIG_ENTRY

LOCK: Final = 0x63_6F_6E_66_69_67
"""The key of the advisory lock on PostgreSQL; "config" in ASCII. SQLite has one writer at a time anyway."""

TOPIC_CURSOR: Final = "topic"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HEX_DIGITS: Final = 64
_NAME: Final = ("kind", "level", "scope", "key")
_ONCE: Final = (*_NAME, "version", "digest", "event_id")
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change and how it came to be. `event_id` is the event's that says it."""

    change: Change
    actor: str
    reason: str | None
    time: datetime
    origin: str
    event_id: str


def lock(tx: Connection) -> None:
    """Be the only one who writes until the transaction ends."""
    if tx.dialect.name == "postgresql":
        tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def read(tx: Connection, name: Name) -> Entry | None:
    """What is on record under a name."""
    query = select(CONFIG_ENTRY).where(is_name(CONFIG_ENTRY, name))
    row = tx.execute(query).mappings().first()
    return None if row is None else entry_of(row)[1]


def everything(tx: Connection) -> dict[Name, Entry]:
    """All entries, those that are unset included."""
    return dict(entry_of(row) for row in tx.execute(select(CONFIG_ENTRY)).mappings())


def of_everybody(tx: Connection, prefix: str) -> dict[str, Any]:
    """The settings on the level global whose keys begin so, UNSET for what is unset again."""
    at = CONFIG_ENTRY.c
    begun = at.key.startswith(prefix, autoescape=True)
    query = select(CONFIG_ENTRY).where(at.kind == "value", at.level == "global", begun)
    found = (entry_of(row) for row in tx.execute(query).mappings())
    return {name.key: entry.value for name, entry in found}


def merge(tx: Connection, changes: Iterable[tuple[Change, datetime, str | None]]) -> None:
    """Take in changes, each with its time and who made it; of a name the highest version stays."""
    winners: dict[Name, dict[str, Any]] = {}
    best: dict[Name, Entry] = {}
    for (name, entry), time, actor in changes:
        if name in best and not entry.beats(best[name]):
            continue
        best[name] = entry
        by = None if actor is None else storable(actor)
        winners[name] = {**columns_of(name, entry), "updated_us": to_us(time), "updated_by": by}
    if not winners:
        return
    upsert = _insert(tx, CONFIG_ENTRY)
    new, old = upsert.excluded, CONFIG_ENTRY.c
    wins = (new.version > old.version) | ((new.version == old.version) & (new.digest > old.digest))
    settled = {name: new[name] for name in ("version", "value", "digest", "updated_us", "updated_by")}
    tx.execute(
        upsert.on_conflict_do_update(index_elements=_NAME, set_=settled, where=wins), list(winners.values())
    )


def remember(tx: Connection, told: Sequence[Told], *, from_topic: bool) -> None:
    """Keep changes as history, once each; those from the topic get the next places in its order."""
    if not told:
        return
    first = _next_places(tx, len(told)) if from_topic else None
    upsert = _insert(tx, CONFIG_CHANGE)
    statement = upsert.on_conflict_do_update(
        index_elements=_ONCE, set_={"seq": upsert.excluded.seq}, where=CONFIG_CHANGE.c.seq.is_(None)
    )
    tx.execute(
        statement,
        [
            {
                **columns_of(*one.change),
                "actor": storable(one.actor),
                "reason": None if one.reason is None else storable(one.reason),
                "time_us": to_us(one.time),
                "origin": one.origin,
                "event_id": one.event_id,
                "seq": None if first is None else first + number,
            }
            for number, one in enumerate(told)
        ],
    )


def last_place(tx: Connection) -> int:
    """The place of the change that was read from the topic last; 0 before the first."""
    query = select(CONFIG_CURSOR.c.seq).where(CONFIG_CURSOR.c.name == TOPIC_CURSOR)
    return tx.execute(query).scalar() or 0


def columns_of(name: Name, entry: Entry) -> dict[str, Any]:
    """A name and what it is set to, as columns."""
    return {
        **scope_columns(name),
        "version": entry.version,
        "value": _encode(entry.value).decode() if entry.in_force else None,
        "digest": f"{entry.digest:0{_HEX_DIGITS}x}",
    }


def scope_columns(name: Name) -> dict[str, str]:
    """A name as columns."""
    return {"kind": name.kind, "level": name.level, "scope": name.scope or "", "key": name.key}


def name_of(row: RowMapping) -> Name:
    """The name in a row."""
    return Name(row["kind"], row["level"], row["scope"] or None, row["key"])


def value_of(row: RowMapping) -> Any:
    """What a row sets its name to: UNSET, a value or a `FlagRule`."""
    if row["value"] is None:
        return msgspec.UNSET
    return msgspec.json.decode(row["value"], type=FlagRule if row["kind"] == "flag" else Any)


def entry_of(row: RowMapping) -> Change:
    """The entry in a row."""
    return name_of(row), Entry(row["version"], value_of(row), int(row["digest"], 16))


def is_name(table: Table, name: Name) -> ColumnElement[bool]:
    """The condition that a row is of this name."""
    return and_(*(table.c[column] == value for column, value in scope_columns(name).items()))


def to_us(time: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (time - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The inverse of `to_us`."""
    return EPOCH + timedelta(microseconds=us)


def _next_places(tx: Connection, count: int) -> int:
    """Take so many places; returns the first."""
    upsert = _insert(tx, CONFIG_CURSOR)
    row: Mapping[str, object] = {"name": TOPIC_CURSOR, "owner": "", "expires_us": 0, "seq": 0}
    tx.execute(upsert.on_conflict_do_nothing(), [row])
    taken = CONFIG_CURSOR.c.seq + count
    at_topic = CONFIG_CURSOR.c.name == TOPIC_CURSOR
    after = tx.execute(update(CONFIG_CURSOR).where(at_topic).values(seq=taken).returning(CONFIG_CURSOR.c.seq))
    return int(after.scalar_one()) - count + 1


def _insert(tx: Connection, table: Table) -> Any:
    return (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(table)
