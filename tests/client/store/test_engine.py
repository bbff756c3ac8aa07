"""Opening a store, and what its transactions promise."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from trunkline.client.errors import InvalidStore, StoreIncompatible, StoreUnavailable
from trunkline.client.store import Store, open_store, sqlite


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("nosuchdb://x", "not a database URL"),
        ("oracle+oracledb://scott:tiger@x/y", "@x/y: its driver is not installed"),
        ("sqlite://", "a store is a file"),
        ("sqlite:///:memory:", "a store is a file"),
        ("sqlite:////dev/null/x.db", "cannot create its directory"),
        ("sqlite:////tmp", "is a directory"),
    ],
)
def test_what_cannot_be_a_store_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(InvalidStore, match=says) as refused:
        open_store(url)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://svc:s3cret@h/db",
        "postgresql://svc:s3cret@h:port/db",
        "postgresql://svc@h:s3cret/db",
        "svc:s3cret@h/db",
        "oracle+oracledb://x/y?password=s3cret",
    ],
)
def test_a_refused_url_never_shows_its_password(url: str) -> None:
    with pytest.raises(InvalidStore) as refused:
        open_store(url)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in str(refused.value.__cause__)


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"x" * 5_000)
    with pytest.raises(StoreIncompatible, match="is not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"x" * 5_000


def test_a_commit_is_on_disk_and_readers_do_not_wait_for_the_writer(sqlite_store: Store) -> None:
    with sqlite_store.read() as tx:
        assert tx.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert tx.execute(text("PRAGMA synchronous")).scalar() == 2
    with sqlite_store.write() as writing:
        writing.execute(text("CREATE TABLE x (a INTEGER)"))
        with sqlite_store.read() as reading:
            assert reading.execute(text("SELECT count(*) FROM processed_event")).scalar() == 0


def test_an_exception_rolls_everything_back(store: Store) -> None:
    with pytest.raises(DBAPIError, match="syntax error"), store.write() as tx:
        tx.exec_driver_sql("CREATE TABLE x (a INTEGER)").connection.exec_driver_sql("nonsense")
    with store.read() as tx:
        assert not inspect(tx).has_table("x")


def test_threads_write_in_turn_and_one_that_waits_too_long_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path / 's.db'}")) as store, ThreadPoolExecutor(1) as pool:

        def write() -> str:
            try:
                with store.write():
                    return "written"
            except StoreUnavailable as error:
                return str(error)

        with store.write():
            waiting = pool.submit(write)
            assert not waiting.done()
        assert waiting.result(10) == "written"
        monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
        with store.write():
            assert "another writer holds it" in pool.submit(write).result(10)
        assert pool.submit(write).result(10) == "written"


def test_a_locked_store_is_unavailable_and_works_again_when_it_is_released(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    impatient = open_store(sqlite_store.url)
    other = sqlite3.connect(tmp_path / "service.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked"), impatient.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with impatient.write() as tx:
        tx.execute(text("CREATE TABLE x (a INTEGER)"))
    impatient.close()


def test_a_wrong_statement_is_not_mistaken_for_an_unavailable_store(store: Store) -> None:
    with pytest.raises(Exception, match=r"no such table|does not exist") as raised, store.write() as tx:
        tx.execute(text("SELECT * FROM nowhere"))
    assert not isinstance(raised.value, StoreUnavailable)
    assert store.unavailable(raised.value) is None


def test_two_writers_that_read_first_both_succeed(sqlite_store: Store) -> None:
    """With a deferred transaction one of them would fail to upgrade its lock, and no waiting would help."""
    with sqlite_store.write() as tx:
        tx.execute(text("CREATE TABLE x (a INTEGER)"))
        tx.execute(text("INSERT INTO x VALUES (0)"))
    raised: list[BaseException] = []

    def increment() -> None:
        try:
            for _ in range(20):
                with sqlite_store.write() as tx:
                    value = tx.execute(text("SELECT a FROM x")).scalar_one()
                    tx.execute(text("UPDATE x SET a = :a"), {"a": value + 1})
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            raised.append(error)

    threads = [threading.Thread(target=increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    with sqlite_store.read() as tx:
        assert tx.execute(text("SELECT a FROM x")).scalar() == 40
