"""Opens a store and runs transactions on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from trunkline.client.errors import InvalidStore, StoreIncompatible, StoreUnavailable
from trunkline.client.store import sqlite

_SQLITE: Final = "sqlite"


class Store:
    """One database. Thread-safe; every transaction takes a connection of its own from a small pool.

    Every method raises `StoreUnavailable` when the database is locked, full or unreachable; nothing was
    changed then, and the same call may succeed later.
    """

    def __init__(self, engine: Engine) -> None:
        self._reader = engine
        self._writer = engine.execution_options(**sqlite.WRITE) if _is_sqlite(engine.url) else engine

    @property
    def url(self) -> str:
        """Without the password."""
        return self._reader.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write: commits at the end, rolls back on any exception."""
        with self._errors_translated(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, on one consistent snapshot."""
        with self._errors_translated(), self._reader.begin() as connection:
            yield connection

    def unavailable(self, error: BaseException) -> StoreUnavailable | None:
        """What `error` means, if the store rather than the statement or the data is at fault; else None."""
        if isinstance(error, StoreUnavailable):
            return error
        if not isinstance(error, DBAPIError) or not self._is_transient(error):
            return None
        return StoreUnavailable(f"store {self.url}: {error.orig}; it is tried again until it answers")

    def close(self) -> None:
        """Close the pooled connections. Safe to call twice."""
        self._reader.dispose()

    def _is_transient(self, error: DBAPIError) -> bool:
        if _is_sqlite(self._reader.url):
            return sqlite.is_transient(error.orig)
        return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
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
    else:
        engine = create_engine(parsed, pool_pre_ping=True)
    store = Store(engine)
    try:
        with store.read():
            pass
    except StoreUnavailable as error:
        store.close()
        raise StoreUnavailable(
            f"store {store.url}: {_cause(error)}; check the path, its permissions and free space"
        ) from error
    except DBAPIError as error:
        store.close()
        raise StoreIncompatible(
            f"store {store.url}: {error.orig}; it is not a database of Trunkline"
        ) from error
    return store


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, ImportError) as error:
        raise InvalidStore(f"store {url!r}: not a database URL; use sqlite:///PATH") from error
    try:
        parsed.get_dialect().import_dbapi()
    except ImportError as error:
        shown = parsed.render_as_string(hide_password=True)
        raise InvalidStore(
            f"store {shown}: its driver is not installed ({error}); install it or use sqlite:///PATH"
        ) from error
    return parsed


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == _SQLITE


def _cause(error: StoreUnavailable) -> object:
    cause = error.__cause__
    return cause.orig if isinstance(cause, DBAPIError) else cause
