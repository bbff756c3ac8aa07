"""The databases of all tenants in one directory: made on first use, opened while they are used."""

import importlib.util
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import duckdb

from trunkline.client.log import Log
from trunkline.codec import new_id
from trunkline.errors import TrunklineError
from trunkline.services.query.database import TenantDatabase

DataSet = Literal["tpch", "empty"]

FILE: Final = "data.duckdb"
"""DuckDB calls a database by its file: so it is `data` in every tenant's."""

TPCH_SCALE: Final = 0.01
"""60,175 rows in the largest table, made in a fifth of a second."""

OPEN_MAX: Final = 16
"""Databases open at once; the one used least lately is closed."""

_log = Log("trunkline.query")


@dataclass(slots=True)
class _Open:
    database: TenantDatabase
    users: int = 0


class Databases:
    """Thread-safe. `memory_mb` is what one tenant's queries may take together."""

    def __init__(self, directory: Path, *, memory_mb: int, data_set: Callable[[str], DataSet]) -> None:
        """`data_set` says what a tenant's database is made with when there is none."""
        self._directory = directory
        self._memory_mb = memory_mb
        self._data_set = data_set
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._lock = threading.RLock()

    def path(self, tenant: str) -> Path:
        """The tenant's file, whether or not it is there."""
        return self._directory / f"tenant-{tenant}" / FILE

    @contextmanager
    def of(self, tenant: str) -> Iterator[TenantDatabase]:
        """The tenant's database, open at least until the end. Raises `Unavailable`."""
        with self._lock:
            kept = self._open.get(tenant)
            if kept is None:
                kept = self._open[tenant] = _Open(self._opened(tenant))
            self._open.move_to_end(tenant)
            kept.users += 1
        try:
            yield kept.database
        finally:
            with self._lock:
                kept.users -= 1
                self._close_idle(OPEN_MAX)

    def drop(self, tenant: str) -> bool:
        """Delete the tenant's data for good, unless a query runs on it; whether there was any."""
        with self._lock:
            kept = self._open.get(tenant)
            if kept is not None and kept.users:
                return False
            if kept is not None:
                del self._open[tenant]
                kept.database.close()
            directory = self.path(tenant).parent
            there = directory.exists()
            shutil.rmtree(directory, ignore_errors=True)
            return there

    def tenants(self) -> list[str]:
        """Whose data is here."""
        found = self._directory.glob(f"tenant-*/{FILE}")
        return sorted(path.parent.name.removeprefix("tenant-") for path in found)

    def close(self) -> None:
        """Close all that no query runs on."""
        with self._lock:
            self._close_idle(0)

    def _close_idle(self, keep: int) -> None:
        for tenant in [tenant for tenant, kept in self._open.items() if not kept.users]:
            if len(self._open) <= keep:
                return
            self._open.pop(tenant).database.close()

    def _opened(self, tenant: str) -> TenantDatabase:
        path = self.path(tenant)
        if not path.exists():
            provision(path, self._data_set(tenant))
        return TenantDatabase(path, memory_mb=self._memory_mb)


def provision(path: Path, data_set: DataSet) -> None:
    """Make a database with a data set. Whoever else does so at the same time gets the same one."""
    fresh = path.with_name(f"{new_id()}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with duckdb.connect(str(fresh)) as connection:
            if data_set == "tpch":
                connection.execute(f"LOAD '{_extension()}'")
                connection.execute("CREATE SCHEMA tpch")
                connection.execute(f"CALL dbgen(sf={TPCH_SCALE}, schema='tpch')")
        if not path.exists():
            fresh.replace(path)
            _log.info("a tenant's database was made", path=str(path), data_set=data_set)
    finally:
        fresh.unlink(missing_ok=True)


def tpch_statements() -> list[str]:
    """The 22 queries of TPC-H, as DuckDB's extension has them."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"LOAD '{_extension()}'")
        found = connection.execute("SELECT query FROM tpch_queries() ORDER BY query_nr").fetchall()
    return [str(sql) for (sql,) in found]


def _extension() -> Path:
    """TPC-H from the installed package, so that nothing is downloaded."""
    spec = importlib.util.find_spec("duckdb_extension_tpch")
    home = None if spec is None or spec.origin is None else Path(spec.origin).parent
    for path in sorted(home.glob("extensions/*/tpch.duckdb_extension")) if home else ():
        return path
    raise TrunklineError("the data set tpch needs the extra `query`: pip install 'trunkline[query]'")
