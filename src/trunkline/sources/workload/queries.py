"""Real queries: TPC-H executed by DuckDB, measured by DuckDB's own profiler.

DuckDB and its TPC-H extension come with the extra `query`; both are used from the installed packages, so that
nothing is downloaded.
"""

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from trunkline.errors import InvalidInput, TrunklineError

SCALE_FACTOR: Final = 0.01
"""60,175 rows in the largest table: generated in 0.2 s, and a query still takes milliseconds."""

ROUNDS: Final = 3
"""How often each statement runs: the first round is cold, the others are not, as in life."""

ERROR_TEXT_MAX: Final = 400
"""What is kept of an engine's error text."""

NOT_INSTALLED: Final = (
    "real queries need DuckDB with TPC-H, the extra `query`: pip install 'trunkline[query]'"
)

# What users get wrong; DuckDB itself says how.
FAULTY: Final = (
    "SELECT sum(l_extendedprice) FROM lineitems",
    "SELECT o_totl FROM orders",
    "SELECT c_name, count(*) FROM customer",
    "SELECT CAST(c_name AS INTEGER) FROM customer",
    "SELECT * FROM nation WHERE",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredQuery:
    """One execution of a statement: what it read, returned and cost, or the error that it ended in.

    `fingerprint` is the SHA-256 of the statement in UTF-8, in hexadecimal. `error_code` and `error` are both
    set or both None.
    """

    sql: str
    fingerprint: str
    tables: tuple[str, ...]
    duration_us: int
    cpu_us: int
    rows_returned: int
    rows_scanned: int
    bytes_scanned: int
    error_code: str | None = None
    error: str | None = None


def measure_queries(*, rounds: int = ROUNDS) -> tuple[MeasuredQuery, ...]:
    """Runs the 22 TPC-H queries and a few faulty ones `rounds` times over, single-threaded, in memory.

    Raises `InvalidInput` where the extra `query` is not installed.
    """
    duckdb = _duckdb()
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute(f"LOAD '{_extension()}'")
        connection.execute(f"CALL dbgen(sf={SCALE_FACTOR})")
        connection.execute("SET enable_profiling = 'no_output'")
        statements = connection.execute("SELECT query FROM tpch_queries() ORDER BY query_nr").fetchall()
        measured = []
        for _ in range(rounds):
            measured += [_measure(duckdb, connection, str(sql)) for (sql,) in statements]
            measured += [_measure(duckdb, connection, sql) for sql in FAULTY]
    return tuple(measured)


def _measure(duckdb: ModuleType, connection: Any, sql: str) -> MeasuredQuery:
    fingerprint = hashlib.sha256(sql.encode()).hexdigest()
    try:
        rows = connection.execute(sql).fetchall()
    except duckdb.Error as error:
        return MeasuredQuery(
            sql=sql,
            fingerprint=fingerprint,
            tables=(),
            duration_us=0,
            cpu_us=0,
            rows_returned=0,
            rows_scanned=0,
            bytes_scanned=0,
            error_code=_error_code(error),
            error=" ".join(str(error).split())[:ERROR_TEXT_MAX],
        )
    profile = json.loads(connection.get_profiling_information(format="json"))
    return MeasuredQuery(
        sql=sql,
        fingerprint=fingerprint,
        tables=tuple(f"urn:table:tpch.{name}" for name in sorted(connection.get_table_names(sql))),
        duration_us=round(profile["latency"] * 1_000_000),
        cpu_us=round(profile["cpu_time"] * 1_000_000),
        rows_returned=len(rows),
        rows_scanned=int(profile["cumulative_rows_scanned"]),
        bytes_scanned=_bytes_scanned(profile),
    )


def _bytes_scanned(operator: Mapping[str, Any]) -> int:
    """What the table scans below an operator looked at: rows times the width of the columns asked for.

    The profiler counts bytes read from files, of which a database in memory has none. A scan's width is known
    by the rows that passed its filter; one that let nothing pass counts as nothing.
    """
    read = 0
    if operator.get("operator_type") == "TABLE_SCAN" and (passed := operator["operator_cardinality"]):
        read = operator["operator_rows_scanned"] * operator["result_set_size"] // passed
    return read + sum(map(_bytes_scanned, operator["children"]))


def _error_code(error: Exception) -> str:
    """`BinderException` becomes `binder_error`."""
    return type(error).__name__.removesuffix("Exception").lower() + "_error"


def _duckdb() -> ModuleType:
    try:
        return importlib.import_module("duckdb")
    except ImportError as error:
        raise InvalidInput(NOT_INSTALLED) from error


def _extension() -> Path:
    spec = importlib.util.find_spec("duckdb_extension_tpch")
    if spec is None or spec.origin is None:
        raise InvalidInput(NOT_INSTALLED)
    home = Path(spec.origin).parent
    for path in sorted(home.glob("extensions/*/tpch.duckdb_extension")):
        return path
    raise TrunklineError(f"the package duckdb-extension-tpch in {home} holds no extension; install it again")
