"""Inserts a row unless its key is taken, on SQLite and on PostgreSQL."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Result, Table, literal_column
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(tx: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Whether the row is new; False where a row with one of its unique keys is there, which stays as it is.

    Asked of the database by what the statement returns: a count of rows is not to be had from every driver.
    """
    insert = (sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert)(table)
    done: Result[Any] = tx.execute(
        insert.on_conflict_do_nothing().values(**row).returning(literal_column("1"))
    )
    return done.first() is not None
