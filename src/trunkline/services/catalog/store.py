"""Writes a batch: a handful of statements, each of which gives the same for any order and repetition."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Executable, Table, func, text, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from trunkline.services.catalog import text_index
from trunkline.services.catalog.batch import Batch
from trunkline.services.catalog.tables import ASSET, CHANGE, EDGE, FACET, ORDER_COLUMNS, REJECTED

LOCK_SEED: Final = 0x63_61_74_61_6C_6F_67
"""Keeps the advisory locks of tenants apart from anybody else's; "catalog" in ASCII."""

_LOCK: Final = text(
    "SELECT pg_advisory_xact_lock(hash) FROM ("
    "SELECT DISTINCT hashtextextended(tenant, :seed) AS hash "
    "FROM unnest(CAST(:tenants AS text[])) AS tenant ORDER BY 1) AS wanted"
)


def write(tx: Connection, batch: Batch) -> None:
    """Write everything the batch says. Writing it again changes nothing."""
    lock(tx, batch.tenants)
    dialect = tx.dialect.name
    _execute(tx, _insert_new(CHANGE, dialect), batch.changes.values())
    _execute(tx, _keep_newest(dialect), [row for _, row in batch.facets.values()])
    _execute(tx, _widen_asset(dialect), batch.assets.values())
    _execute(tx, _widen_edge(dialect), batch.edges.values())
    _execute(tx, _insert_new(REJECTED, dialect), batch.rejected.values())
    text_index.index(tx, sorted(batch.assets))


def lock(tx: Connection, tenants: Sequence[str]) -> None:
    """Have these tenants to oneself until the transaction ends.

    On PostgreSQL the numbers of changes are then in the order of commit, tenant by tenant, so that whoever
    follows them misses none; and two batches never wait for each other's rows crosswise. On SQLite there is
    one writer at a time anyway.
    """
    if tx.dialect.name == "postgresql" and tenants:
        tx.execute(_LOCK, {"tenants": list(tenants), "seed": LOCK_SEED})


def _execute(tx: Connection, statement: Executable, rows: Iterable[Mapping[str, Any]]) -> None:
    if parameters := list(rows):
        tx.execute(statement, parameters)


def _insert(table: Table, dialect: str) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@lru_cache
def _insert_new(table: Table, dialect: str) -> Executable:
    return _insert(table, dialect).on_conflict_do_nothing()


@lru_cache
def _keep_newest(dialect: str) -> Executable:
    """Replace a facet's row by one that is greater in order."""
    statement = _insert(FACET, dialect)
    new = statement.excluded
    key = ("tenant", "urn", "name")
    greater = tuple_(*(new[name] for name in ORDER_COLUMNS)) > tuple_(
        *(FACET.c[name] for name in ORDER_COLUMNS)
    )
    changed = {column.name: new[column.name] for column in FACET.c if column.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=changed, where=greater)


@lru_cache
def _widen_asset(dialect: str) -> Executable:
    """First the least, the other times the greatest of all that were ever told."""
    statement = _insert(ASSET, dialect)
    new, old = statement.excluded, ASSET.c
    least, greatest = _extremes(dialect)
    grown = ("newest_us", "defined_us", "deleted_us")
    return statement.on_conflict_do_update(
        index_elements=("tenant", "urn"),
        set_={"first_us": least(old.first_us, new.first_us)}
        | {name: greatest(old[name], new[name]) for name in grown},
    )


@lru_cache
def _widen_edge(dialect: str) -> Executable:
    statement = _insert(EDGE, dialect)
    least, _ = _extremes(dialect)
    return statement.on_conflict_do_update(
        index_elements=("tenant", "origin", "target", "kind"),
        set_={"since_us": least(EDGE.c.since_us, statement.excluded.since_us)},
    )


def _extremes(dialect: str) -> tuple[Any, Any]:
    """The functions for the least and the greatest of some values."""
    return (func.least, func.greatest) if dialect == "postgresql" else (func.min, func.max)
