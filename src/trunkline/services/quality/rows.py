"""Statements that the modules of this service share."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; those that are there take the new values."""
    if rows:
        tx.execute(_upsert(table, tx.dialect.name), list(rows))


def insert_new(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows; those that are there stay as they are."""
    if rows:
        tx.execute(_insert_new(table, tx.dialect.name), list(rows))


def row_of(subject: object, names: Iterable[str], *, tenant: str) -> dict[str, Any]:
    """An object's attributes as a row; truth is a number, as on every database."""
    values = {name: getattr(subject, name) for name in names}
    return {
        "tenant": tenant,
        **{name: int(value) if isinstance(value, bool) else value for name, value in values.items()},
    }


@cache
def _upsert(table: Table, dialect: str) -> Insert:
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    keys = [column.name for column in table.primary_key.columns]
    others = {name: column for name, column in statement.excluded.items() if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


@cache
def _insert_new(table: Table, dialect: str) -> Insert:
    return (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table).on_conflict_do_nothing()
