"""Statements about many rows at once, given to the driver as they are.

They are most of what a batch costs: SQLAlchemy's own way through several hundred parameters takes longer than
the database.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

from sqlalchemy import Connection, text

ROWS_MAX: Final = 500
"""In one statement: with ten columns well within every database's limit of parameters."""

TENANT_LOCK_SEED: Final = 0x62_69_6C_6C_69_6E_67
"""Keeps our advisory locks of tenants apart from anybody else's; "billing" in ASCII."""

METERS_LOCK: Final = 0x6D_65_74_65_72_73
"""The key of the advisory lock on the list of meters; "meters" in ASCII."""

_PLACEHOLDERS: Final = {"qmark": "?", "pyformat": "%s"}
_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock_shared(:meters) UNION ALL (SELECT "
    "pg_advisory_xact_lock(hashtextextended(name, :seed)) "
    "FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS wanted(name, place) ORDER BY place)"
)
_LOCK_METERS: Final = text("SELECT pg_advisory_xact_lock(:meters)")


def lock_tenants(tx: Connection, tenants: Iterable[str]) -> None:
    """Let nobody else change the usage of these tenants, nor the meters, until the transaction ends.

    Everybody takes the locks in the same order, at the beginning, and before those of the outbox, so that
    nobody waits for somebody who waits. On SQLite there is one writer at a time anyway.
    """
    if tx.dialect.name == "postgresql":
        names = sorted(set(tenants))
        tx.execute(_LOCK, {"meters": METERS_LOCK, "seed": TENANT_LOCK_SEED, "names": names}).all()


def lock_meters(tx: Connection) -> None:
    """Change the meters while nobody measures by them: wait for all who do, and let new ones wait.

    So whoever looks afterwards for what was measured by the old ones finds all of it committed.
    """
    if tx.dialect.name == "postgresql":
        tx.execute(_LOCK_METERS, {"meters": METERS_LOCK})


def values_rows(tx: Connection, head: str, tail: str, rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Run `head VALUES-rows tail` over all rows; returns what it returns."""
    found: list[Sequence[Any]] = []
    placeholder = _PLACEHOLDERS[tx.dialect.paramstyle]
    remaining = iter(rows)
    while part := list(islice(remaining, ROWS_MAX)):
        statement = _statement(head, tail, len(part), len(part[0]), placeholder)
        result = tx.exec_driver_sql(statement, tuple(chain.from_iterable(part)))
        if result.returns_rows:
            found += result.all()
    return found


@lru_cache(4 * ROWS_MAX)
def _statement(head: str, tail: str, rows: int, columns: int, placeholder: str) -> str:
    row = f"({', '.join([placeholder] * columns)})"
    return f"{head}{', '.join([row] * rows)}{tail}"
