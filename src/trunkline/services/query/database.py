"""One tenant's DuckDB: opened to be read and nothing else, and run under limits of time, rows and memory.

The file is opened read-only, without access to any other file, without extensions to load, and with its
configuration locked: what a statement could do is bounded even if everything before it had failed.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import duckdb

from trunkline.catalogue.assets import DEFAULT_SCHEMA
from trunkline.errors import Unavailable
from trunkline.services.query.errors import QueryCancelled, QueryFailed
from trunkline.services.query.fetching import fetched
from trunkline.services.query.profile import Cost, cost_of
from trunkline.services.query.relations import Relation, Relations, relations_of

QUERIES_AT_ONCE: Final = 4
"""Of one tenant; the others wait."""

WAITING_MAX: Final = 8
"""Of one tenant; each keeps a thread of the API, which all tenants share. More are sent away at once."""

WAIT_SECONDS: Final = 10.0
"""How long a query waits for its turn."""

THREADS: Final = 2
INTERRUPT_SECONDS: Final = 0.05
"""An interrupt that comes before the engine has begun is lost, so it is repeated."""

ERROR_TEXT_MAX: Final = 400
TIMEOUT: Final = "timeout"

WITHHELD: Final = "a value cannot be computed; which one is not told where rows are filtered or masked"

NO_VALUE: Final = "value_out_of_range"
NO_VALUE_MESSAGE: Final = (
    "a value of the result is out of range, as are millions of years; cast it to VARCHAR"
)

_ZONED: Final = " WITH TIME ZONE"
"""In the name of a type that has such a value, or of one that it is inside of."""

_ABOUT_THE_STATEMENT: Final = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ParserException,
    duckdb.SyntaxException,
    duckdb.OutOfMemoryException,
)
"""Errors whose text quotes no value of a row."""

_COLUMNS: Final = (
    "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal "
    "AND database_name = current_database() ORDER BY schema_name, table_name, column_index"
)
_VIEWS: Final = (
    "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal "
    "AND database_name = current_database()"
)
_MACROS: Final = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE NOT internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query may take: wall time in milliseconds, rows returned."""

    timeout_ms: int = 30_000
    rows_max: int = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a result and its type, as DuckDB names it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a query returned and cost. `truncated`: there were more rows than the limit allows."""

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool
    cost: Cost


class Running:
    """One execution, which any thread may stop."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self.stopped_by: str | None = None
        """Who stopped it, or `TIMEOUT`."""

    def stop(self, by: str) -> bool:
        """Stop it and wait until it has; False if it had ended before."""
        with self._lock:
            if self._done.is_set():
                return False
            self.stopped_by = self.stopped_by or by
        while not self._done.wait(INTERRUPT_SECONDS):
            with self._lock:
                if self._cursor is not None and not self._done.is_set():
                    self._cursor.interrupt()
        return True

    @contextmanager
    def on(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """It runs on this cursor."""
        with self._lock:
            self._cursor = cursor
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """It has ended: nothing is interrupted any more."""
        with self._lock:
            self._cursor = None
            self._done.set()


class TenantDatabase:
    """An open database. Thread-safe."""

    def __init__(self, path: Path, *, memory_mb: int) -> None:
        """Raises `Unavailable` for a file that cannot be opened."""
        try:
            self._connection = duckdb.connect(
                str(path),
                read_only=True,
                config={
                    "threads": THREADS,
                    "memory_limit": f"{memory_mb}MB",
                    "enable_external_access": "false",
                    "autoinstall_known_extensions": "false",
                    "autoload_known_extensions": "false",
                    "allow_community_extensions": "false",
                    "python_enable_replacements": "false",
                },
            )
        except duckdb.Error as error:
            raise Unavailable(f"database {path}: {_line(error)}") from error
        self._places = threading.BoundedSemaphore(QUERIES_AT_ONCE + WAITING_MAX)
        self._free: queue.LifoQueue[duckdb.DuckDBPyConnection] = queue.LifoQueue()
        for _ in range(QUERIES_AT_ONCE):
            cursor = self._connection.cursor()
            # Each has its own; the lock below is for all.
            cursor.execute("SET enable_profiling = 'no_output'; SET TimeZone = 'UTC'")
            self._free.put(cursor)
        self.relations = self._read_relations()
        """What can be read in it; it does not change while it is open."""
        self._connection.execute("SET lock_configuration = true")

    def execute(
        self,
        sql: str,
        limits: Limits,
        running: Running,
        *,
        guarded: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Result:
        """Run a statement that a planner has made.

        `guarded`: a filter or mask in it may itself fail on a value that the reader is not to see, and the
        engine's error would quote it.

        Raises `QueryFailed`, `QueryCancelled` if `running` was stopped, and `Unavailable` when too many
        queries run.
        """
        deadline = monotonic() + limits.timeout_ms / 1000
        with self._turn(limits, running) as cursor:
            timer = threading.Timer(max(0.0, deadline - monotonic()), running.stop, [TIMEOUT])
            timer.daemon = True
            try:
                timer.start()
                with running.on(cursor):
                    return self._run(cursor, sql, limits, running, guarded=guarded)
            finally:
                timer.cancel()

    def close(self) -> None:
        """Close it once the queries that run have ended."""
        for _ in range(QUERIES_AT_ONCE):
            self._free.get().close()
        self._connection.close()

    @contextmanager
    def _turn(self, limits: Limits, running: Running) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that nobody else uses."""
        busy = f"{QUERIES_AT_ONCE} queries of this tenant run and others wait; try again"
        if not self._places.acquire(blocking=False):
            running.end()
            raise Unavailable(busy)
        try:
            cursor = self._free.get(timeout=min(WAIT_SECONDS, limits.timeout_ms / 1000))
        except queue.Empty:
            self._places.release()
            running.end()
            raise Unavailable(busy) from None
        try:
            yield cursor
        finally:
            self._free.put(cursor)
            self._places.release()

    def _run(
        self, cursor: duckdb.DuckDBPyConnection, sql: str, limits: Limits, running: Running, *, guarded: bool
    ) -> Result:
        if running.stopped_by is not None:
            raise _stopped(running, limits)
        try:
            columns = _columns(cursor.execute(sql).description)
            if any(_ZONED in column.type for column in columns):
                cursor.execute(_zones_as_text(sql, columns))
            rows, truncated = fetched(cursor, limits.rows_max)
            cost = cost_of(cursor.get_profiling_information(format="json"))
        except duckdb.InterruptException as error:
            raise _stopped(running, limits) from error
        except duckdb.Error as error:
            withheld = guarded and not isinstance(error, _ABOUT_THE_STATEMENT)
            raise QueryFailed(_code(error), WITHHELD if withheld else _line(error)) from error
        except (ValueError, ArithmeticError) as error:
            # Python's dates and intervals are narrower than DuckDB's. What it says may name the value.
            raise QueryFailed(NO_VALUE, NO_VALUE_MESSAGE) from error
        return Result(columns=columns, rows=rows, truncated=truncated, cost=cost)

    def _read_relations(self) -> Relations:
        columns: dict[tuple[str, str], list[str]] = {}
        for schema, table, column in self._connection.execute(_COLUMNS).fetchall():
            columns.setdefault((schema, table), []).append(column)
        views = {(schema, view): sql for schema, view, sql in self._connection.execute(_VIEWS).fetchall()}
        macros = [name for (name,) in self._connection.execute(_MACROS).fetchall()]
        database = self._connection.execute("SELECT current_database()").fetchall()[0][0]
        found = [
            Relation(schema=schema, name=table, columns=tuple(names), view=views.get((schema, table)))
            for (schema, table), names in columns.items()
        ]
        default_schema = _searched({schema for schema, _ in columns})
        version = sha256(repr([found, macros, default_schema]).encode()).hexdigest()
        return relations_of(database, found, default_schema=default_schema, version=version, macros=macros)


def _searched(schemas: Set[str]) -> str:
    """Where a name without a schema is looked for: `main`, unless all tables are in one other schema."""
    return next(iter(schemas)) if len(schemas) == 1 else DEFAULT_SCHEMA


def _columns(description: Sequence[Sequence[Any]] | None) -> tuple[Column, ...]:
    return tuple(Column(name=str(one[0]), type=str(one[1])) for one in description or ())


def _zones_as_text(sql: str, columns: Sequence[Column]) -> str:
    """Python's DuckDB needs a further package for values with a time zone; text needs none."""
    names = [f"c{number}" for number in range(len(columns))]
    shown = [
        f"CAST({name} AS VARCHAR)" if _ZONED in column.type else name
        for name, column in zip(names, columns, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM ({sql}) AS zoned({', '.join(names)})"  # noqa: S608 - as planned


def _stopped(running: Running, limits: Limits) -> Exception:
    if running.stopped_by == TIMEOUT or running.stopped_by is None:
        return QueryFailed(TIMEOUT, f"it took longer than {limits.timeout_ms} ms")
    return QueryCancelled(running.stopped_by)


def _code(error: duckdb.Error) -> str:
    """`BinderException` becomes `binder_error`."""
    name = type(error).__name__.removesuffix("Exception")
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return f"{words.lstrip('_')}_error" if words else "error"


def _line(error: Exception) -> str:
    """What DuckDB says, without the statement, which is not the one that the user wrote."""
    text = str(error).partition("\n\nLINE ")[0]
    return " ".join(text.split())[:ERROR_TEXT_MAX]
