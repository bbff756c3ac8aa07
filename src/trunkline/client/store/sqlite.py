"""Everything that is particular to SQLite.

The store runs in WAL mode with `synchronous=FULL`: a committed transaction survives a power cut, and readers
never wait for the writer. A writer takes the lock at its start (`BEGIN IMMEDIATE`); with SQLite's default,
two transactions that read first and write later would both fail to upgrade, and no waiting would help them.
"""

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event

from trunkline.client.errors import InvalidStore

BUSY_SECONDS: Final = 2.0
"""How long a statement waits for another process's write before the store counts as unavailable."""

WRITE: Final = {"trunkline_begin": "BEGIN IMMEDIATE"}
"""Execution options of a connection that is going to write."""

_TRANSIENT: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOMEM,
    }
)
_PRIMARY_CODE_MASK: Final = 0xFF
"""Extended result codes carry the primary code in the low byte (sqlite.org/rescode.html)."""


def prepare(url: URL) -> None:
    """Make sure that the database file can exist. Raises `InvalidStore` naming the path."""
    if url.database in {None, "", ":memory:"} or url.query:
        raise InvalidStore(f"store {url}: a store is a file, give it as sqlite:///PATH")
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidStore(
            f"store {path}: cannot create its directory ({error.strerror}); choose another"
        ) from error
    if path.is_dir():
        raise InvalidStore(f"store {path}: is a directory, give the path of a file")


def configure(engine: Engine) -> None:
    """Install durability, locking and explicit transactions on every connection of the engine."""
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)


def is_transient(error: BaseException | None) -> bool:
    """Whether waiting may help: locked, full, unreadable; not a wrong statement and not a corrupt file."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and (code & _PRIMARY_CODE_MASK) in _TRANSIENT


def is_aborted(driver: Any) -> bool:
    """Whether SQLite has rolled back a transaction by itself, as it does on a full disk, or `OR ROLLBACK`."""
    return not driver.in_transaction


def empty_log(driver: Any) -> bool:
    """Move everything that was committed into the database file, and cut the write-ahead log to nothing.

    The log has whole pages as they were before later changes, and so what was deleted since. False when
    somebody was still reading or writing after `BUSY_SECONDS`.
    """
    busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def _on_connect(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late and break savepoints; `_on_begin` does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # What was deleted would otherwise stand in its page until that is used again. Not every build does so.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("trunkline_begin", "BEGIN"))
