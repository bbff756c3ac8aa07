"""What is taken for an outage, and what for an event that is at fault."""

import errno
import socket
import sqlite3
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from trunkline.client.blame import LINKS_MAX, is_world_at_fault, one_line
from trunkline.client.errors import QueueFull, StoreUnavailable
from trunkline.client.handler import PermanentFailure, RetryLater


def caught(action: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as info:  # noqa: PT011 - any exception is the point
        action()
    return info.value


def caused(error: Exception, by: BaseException) -> Exception:
    """`error`, raised from `by`."""
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("later"),
        QueueFull("the publisher's queue is full"),
        StoreUnavailable("another store is locked"),
        ConnectionRefusedError(),
        BrokenPipeError(),
        TimeoutError(),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        ssl.SSLEOFError("EOF occurred in violation of protocol"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        PoolExhausted("QueuePool limit reached"),
        psycopg.OperationalError("connection refused"),
        psycopg.errors.AdminShutdown("terminating connection"),
        OperationalError("SELECT 1", {}, Exception("gone"), connection_invalidated=True),
        urllib.error.URLError(ConnectionRefusedError()),
        ExceptionGroup("two calls", [ValueError("no"), ConnectionResetError()]),
    ],
    ids=repr,
)
def test_an_outage_is_no_events_fault(error: Exception) -> None:
    assert is_world_at_fault(error)
    assert is_world_at_fault(caused(RuntimeError("the call failed"), error))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        ssl.SSLCertVerificationError("certificate verify failed"),
        urllib.error.URLError(ssl.SSLCertVerificationError("certificate verify failed")),
        urllib.error.URLError("unknown url type: xyz"),
        psycopg.errors.UniqueViolation("duplicate key"),
        psycopg.errors.UndefinedTable("no such table"),
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        SQLAlchemyError("no such thing"),
        caused(PermanentFailure("no such address"), socket.gaierror()),
    ],
    ids=repr,
)
def test_what_would_fail_again_is_the_events_fault(error: Exception) -> None:
    assert not is_world_at_fault(error)
    assert not is_world_at_fault(caused(RuntimeError("the call failed"), error))


def test_a_url_that_nobody_listens_at_is_an_outage() -> None:
    url = "http://127.0.0.1:1/"
    assert is_world_at_fault(caught(lambda: urllib.request.urlopen(url, timeout=2)))


def test_a_database_server_that_is_away_is_an_outage() -> None:
    engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/x")
    assert is_world_at_fault(caught(engine.connect))
    engine.dispose()


def test_a_locked_database_is_an_outage_and_a_missing_table_is_not(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'other.db'}", connect_args={"timeout": 0})

    def execute(statement: str) -> None:
        with engine.begin() as tx:
            tx.execute(text(statement))

    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert is_world_at_fault(caught(lambda: execute("CREATE TABLE t (x)")))
    assert not is_world_at_fault(caught(lambda: execute("INSERT INTO missing VALUES (1)")))
    engine.dispose()


def test_what_a_handler_was_in_the_middle_of_catching_counts_unless_it_says_otherwise() -> None:
    def wrapped() -> None:
        try:
            raise ConnectionResetError
        except OSError:
            raise ValueError("the call failed")  # noqa: B904 - as handlers are written

    def disowned() -> None:
        try:
            raise ConnectionResetError
        except OSError:
            raise ValueError("the event names no service") from None

    assert is_world_at_fault(caught(wrapped))
    assert not is_world_at_fault(caught(disowned))


def test_exceptions_that_lie_behind_each_other_in_a_circle_or_without_end_are_looked_at_once() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert not is_world_at_fault(one)
    deep: Exception = ConnectionResetError()
    for _ in range(LINKS_MAX):
        deep = caused(ValueError("wrapped"), deep)
    assert not is_world_at_fault(deep)
    assert is_world_at_fault(deep.__cause__ or deep)


def test_an_exception_is_one_line() -> None:
    assert one_line(ValueError("two\n  lines")) == "ValueError: two lines"
    assert one_line(ValueError()) == "ValueError"
