"""Opens a store and runs transactions on it."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from trunkline.client.errors import InvalidStore, StoreIncompatible, StoreUnavailable, TransactionLost
from trunkline.client.store import postgres, sqlite

_SQLITE: Final = "sqlite"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*://")
_SECRET_PARAMETERS: Final = ("password", "sslpassword")


class Store:
    """One database. Thread-safe; every transaction takes a connection of its own from a small pool.

    Every method raises `StoreUnavailable` when the database is locked, full or unreachable; nothing was
    changed then, and the same call may succeed later.
    """

    def __init__(self, engine: Engine) -> None:
        self._reader = self._writer = engine
        self._turn = threading.RLock() if _is_sqlite(engine.url) else None
        if _is_sqlite(engine.url):
            self._writer = engine.execution_options(**sqlite.WRITE)
        elif _is_postgres(engine.url):
            self._reader = engine.execution_options(**postgres.READ)

    @property
    def url(self) -> str:
        """Without any password."""
        return _without_secrets(self._reader.url)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: commits at the end, rolls back on any exception.

        Raises `TransactionLost` as `check` does, and what the database says to the commit itself.
        """
        with self._errors_translated(), self._in_turn(), self._writer.begin() as connection:
            yield connection
            self.check(connection)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """SQLite has one writer, and lets the others sleep and look again; within a process they queue up.

        A busy thread would otherwise come back each time before the one that sleeps has looked.
        """
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=sqlite.BUSY_SECONDS):
            raise StoreUnavailable(f"store {self.url}: another writer holds it; it is tried again")
        try:
            yield
        finally:
            self._turn.release()

    def check(self, tx: Connection) -> None:
        """Raise `TransactionLost` if a transaction cannot be committed whole any more.

        PostgreSQL answers the commit of a transaction in which a statement has failed by rolling it back,
        and calls that a success. Raises `StoreUnavailable` if its connection was lost.
        """
        if tx.invalidated:
            raise StoreUnavailable(f"store {self.url}: the connection was lost; it is tried again")
        if not tx.in_transaction() or self._is_aborted(tx):
            raise TransactionLost(
                "the transaction is lost: an error of the database was caught inside of it, or it was "
                "committed or rolled back; a statement that may fail belongs into `with tx.begin_nested()`"
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, on one consistent snapshot."""
        with self._errors_translated(), self._reader.begin() as connection:
            yield connection

    def unavailable(self, error: BaseException) -> StoreUnavailable | None:
        """What `error` means, if the store rather than the statement or the data is at fault; else None."""
        if isinstance(error, StoreUnavailable):
            return error
        if isinstance(error, PoolExhausted):
            return StoreUnavailable(f"store {self.url}: every connection is in use; it is tried again")
        if not isinstance(error, DBAPIError) or not self._is_transient(error):
            return None
        return StoreUnavailable(f"store {self.url}: {_first_line(error)}; it is tried again until it answers")

    def forget_deleted(self) -> bool:
        """See to it that no file has any more what was deleted or overwritten until now; whether it is so.

        False while others read or write for long: call again. PostgreSQL does it by itself, in its own time
        (vacuum, and recycling of its log), and this is True at once.
        """
        if not _is_sqlite(self._reader.url):
            return True
        with self._errors_translated(), self._in_turn(), closing(self._reader.raw_connection()) as connection:
            return sqlite.empty_log(connection.driver_connection)

    def close(self) -> None:
        """Close the pooled connections. Safe to call twice."""
        self._reader.dispose()

    def _is_transient(self, error: DBAPIError) -> bool:
        if _is_sqlite(self._reader.url):
            return sqlite.is_transient(error.orig)
        if _is_postgres(self._reader.url):
            return postgres.is_transient(error)
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))

    def _is_aborted(self, tx: Connection) -> bool:
        driver = tx.connection.driver_connection
        if _is_sqlite(self._reader.url):
            return sqlite.is_aborted(driver)
        return _is_postgres(self._reader.url) and postgres.is_aborted(driver)

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, PoolExhausted) as error:
            if (unavailable := self.unavailable(error)) is None:
                raise
            raise unavailable from error


def open_store(url: str) -> Store:
    """Open the store at an SQLAlchemy URL, creating an SQLite file and its directory when missing.

    Raises `InvalidStore` for a URL that cannot be a store, `StoreUnavailable` if it does not answer and
    `StoreIncompatible` if the file is something else.
    """
    parsed = _parse(url)
    if _is_sqlite(parsed):
        sqlite.prepare(parsed)
        engine = create_engine(parsed, connect_args={"timeout": sqlite.BUSY_SECONDS})
        sqlite.configure(engine)
    elif _is_postgres(parsed):
        engine = create_engine(parsed, **postgres.engine_options())
    else:
        engine = create_engine(parsed, pool_pre_ping=True)
    store = Store(engine)
    try:
        with store.read():
            pass
    except StoreUnavailable as error:
        store.close()
        raise StoreUnavailable(f"store {store.url}: {_cause(error)}; {_what_to_check(parsed)}") from error
    except DBAPIError as error:
        store.close()
        raise StoreIncompatible(
            f"store {store.url}: {_first_line(error)}; it is not a database of Trunkline"
        ) from error
    return store


def _parse(url: str) -> URL:
    try:
        parsed = postgres.normalised(make_url(url))
        parsed.get_dialect()
    except (ArgumentError, ImportError, ValueError):
        # The cause may quote a password that it took for something else, such as the port.
        raise InvalidStore(
            f"store {_scheme(url)}: not a database URL; use sqlite:///PATH or "
            "postgresql://USER@HOST[:PORT]/DATABASE"
        ) from None
    try:
        parsed.get_dialect().import_dbapi()
    except ImportError as error:
        shown = _without_secrets(parsed)
        install = "pip install trunkline[postgres]" if _is_postgres(parsed) else "install it"
        raise InvalidStore(
            f"store {shown}: its driver is not installed ({error}); {install} or use sqlite:///PATH"
        ) from error
    return parsed


def _without_secrets(url: URL) -> str:
    """PostgreSQL takes passwords among the parameters, too."""
    return url.difference_update_query(_SECRET_PARAMETERS).render_as_string(hide_password=True)


def _scheme(url: str) -> str:
    """As much of a text that is no URL as cannot be a secret: nobody knows where its password is."""
    found = _SCHEME.match(url)
    return f"{found[0]}***" if found else "***"


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == _SQLITE


def _is_postgres(url: URL) -> bool:
    return url.get_backend_name() == postgres.BACKEND


def _what_to_check(url: URL) -> str:
    if _is_sqlite(url):
        return "check the path, its permissions and free space"
    return "check host, port, database, user and password, and that the server runs"


def _cause(error: StoreUnavailable) -> object:
    cause = error.__cause__
    return _first_line(cause) if isinstance(cause, DBAPIError) else cause


def _first_line(error: DBAPIError) -> str:
    """What the database says; PostgreSQL goes on with details and hints."""
    return str(error.orig).partition("\n")[0]
