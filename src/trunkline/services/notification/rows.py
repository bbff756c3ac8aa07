"""Statements that several modules share, right on both databases."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

LOOKUP_MAX: Final = 500
"""Values in one query, well below every database's limit on parameters."""

Key = TypeVar("Key", str, tuple[str, str, str])


def insert_new(tx: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert those rows whose key is not there yet."""
    if rows:
        tx.execute(dialect_insert(tx, table).on_conflict_do_nothing(), rows)


def dialect_insert(tx: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An insert that knows ON CONFLICT."""
    return sqlite.insert(table) if tx.dialect.name == "sqlite" else postgresql.insert(table)


def chunks(values: Iterable[Key], size: int = LOOKUP_MAX) -> Iterator[list[Key]]:
    """The values in pieces that fit a query, sorted, so that two writers lock rows in one order."""
    ordered = sorted(values)
    for begin in range(0, len(ordered), size):
        yield ordered[begin : begin + size]
