"""What a store on PostgreSQL adds: a server of its own that can go away, and several writers at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from trunkline.client.batch import BatchProcessor
from trunkline.client.breaker import Breaker
from trunkline.client.errors import InvalidStore, StoreUnavailable
from trunkline.client.handler import Received
from trunkline.client.store import Store, dedupe, migrate, open_store, position, postgres
from trunkline.client.store.position import Fenced, Lane
from trunkline.testing import postgres as testing
from trunkline.testing.consuming import CountingHandler, effects, eventually
from trunkline.testing.postgres import PostgresServer

Receive = Callable[..., Received]


@pytest.fixture
def pg_store(postgres_server: PostgresServer) -> Iterator[Store]:
    store = open_store(postgres_server.create_database())
    migrate(store)
    yield store
    store.close()


@pytest.fixture
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that a test may break."""
    with PostgresServer() as server:
        yield server


def test_a_plain_postgresql_url_takes_psycopg_3(postgres_server: PostgresServer) -> None:
    store = open_store(postgres_server.create_database().replace("+psycopg", ""))
    assert store.url.startswith("postgresql+psycopg://")
    store.close()


def test_a_missing_driver_says_what_to_install() -> None:
    with pytest.raises(InvalidStore, match=r"pip install trunkline\[postgres\]"):
        open_store("postgresql+psycopg2://x@127.0.0.1/y")


def test_a_server_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(StoreUnavailable, match="check host, port") as refused:
        open_store("postgresql://x@127.0.0.1:1/y")
    assert "\n" not in str(refused.value)


def test_a_reader_sees_one_snapshot(pg_store: Store) -> None:
    count = text("SELECT count(*) FROM parked_tenant")
    with pg_store.read() as reading:
        assert reading.execute(count).scalar() == 0
        with pg_store.write() as writing:
            writing.execute(text("INSERT INTO parked_tenant VALUES ('g', 't', 'acme')"))
        assert reading.execute(count).scalar() == 0


def test_many_processes_may_migrate_at_once(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database()
    stores = [open_store(url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        assert list(pool.map(migrate, stores)) == [None] * len(stores)
    for store in stores:
        store.close()


def test_of_two_members_with_the_same_batch_one_waits_and_is_fenced(pg_store: Store, lane: Lane) -> None:
    """Also where the position has no row yet."""
    for expected, target in ((None, 10), (10, 20)):
        with ThreadPoolExecutor(1) as pool:
            with pg_store.write() as first:
                position.advance(first, lane, expected=expected, target=target)
                second = pool.submit(_advance, pg_store, lane, expected=expected, target=target)
                eventually(lambda: _waiting(pg_store))
            with pytest.raises(Fenced):
                second.result()


def test_a_frozen_member_loses_its_locks(
    pg_store: Store, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDLE_IN_TRANSACTION_SECONDS", 1)
    frozen = open_store(pg_store.url)

    def freeze() -> None:
        with frozen.write() as tx:
            position.advance(tx, lane, expected=None, target=5)
            _advance(pg_store, lane, expected=None, target=7)
            tx.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match="idle-in-transaction"):
        freeze()
    frozen.close()
    with pg_store.read() as tx:
        assert position.read(tx, [lane]) == {lane: 7}


def test_a_lock_that_is_not_freed_and_a_statement_that_does_not_end_make_the_store_unavailable(
    pg_store: Store, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_SECONDS", 1)
    monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 2)
    impatient = open_store(pg_store.url)
    with pg_store.write() as holding:
        position.advance(holding, lane, expected=None, target=5)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            _advance(impatient, lane, expected=None, target=5)
    with pytest.raises(StoreUnavailable, match="statement timeout"), impatient.write() as tx:
        tx.execute(text("SELECT pg_sleep(30)"))
    impatient.close()


def test_a_deadlock_is_tried_again(pg_store: Store) -> None:
    with pg_store.write() as tx:
        tx.execute(text("CREATE TABLE x (a INTEGER PRIMARY KEY, n INTEGER)"))
        tx.execute(text("INSERT INTO x VALUES (1, 0), (2, 0)"))
    both = threading.Barrier(2)

    def cross(first: int, second: int) -> bool:
        try:
            with pg_store.write() as tx:
                tx.execute(text("UPDATE x SET n = 1 WHERE a = :a"), {"a": first})
                both.wait(10)
                tx.execute(text("UPDATE x SET n = 1 WHERE a = :a"), {"a": second})
        except StoreUnavailable as error:
            return "deadlock" not in str(error)
        return True

    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(cross, 1, 2), pool.submit(cross, 2, 1)]
        assert sorted(end.result() for end in ends) == [False, True]


def test_looking_up_a_batch_uses_the_primary_key(pg_store: Store, receive: Receive) -> None:
    with pg_store.write() as tx:
        tx.execute(
            text(
                "INSERT INTO processed_event SELECT 'g', 'acme', '/s', 'e' || n, ''::bytea "
                "FROM generate_series(1, 20000) n"
            )
        )
        tx.execute(text("ANALYZE processed_event"))
        dedupe.sift(tx, "g", [receive(str(number)) for number in range(100)])
        plan = tx.execute(
            text(
                "EXPLAIN SELECT known.id FROM (VALUES ('acme', '/s', 'e1'), ('acme', '/s', 'e2')) AS wanted "
                "CROSS JOIN processed_event AS known WHERE known.consumer_group = 'g' "
                "AND known.tenantid = wanted.column1 AND known.source = wanted.column2 "
                "AND known.id = wanted.column3"
            )
        ).scalars()
        assert "processed_event_pkey" in "\n".join(plan)


def test_a_server_that_was_killed_makes_the_store_unavailable_until_it_is_back(
    own_server: PostgresServer, lane: Lane
) -> None:
    store = open_store(own_server.create_database())
    migrate(store)
    _advance(store, lane, expected=None, target=5)

    def die_within() -> None:
        with store.write() as tx:
            position.advance(tx, lane, expected=5, target=6)
            own_server.kill()
            tx.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable):
        die_within()
    with pytest.raises(StoreUnavailable), store.read():
        pass
    own_server.start()
    with store.read() as tx:
        assert position.read(tx, [lane]) == {lane: 5}
    _advance(store, lane, expected=5, target=6)
    own_server.stop()
    with pytest.raises(StoreUnavailable), store.read():
        pass
    store.close()


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_batches_loses_and_doubles_nothing(
    own_server: PostgresServer, lane: Lane, receive: Receive
) -> None:
    store = open_store(own_server.create_database())
    migrate(store)
    processor = BatchProcessor(store, CountingHandler(store), breaker=Breaker(0), wall_ms=lambda: 1)
    records = [receive(str(number), offset=number).record for number in range(4_000)]
    done = threading.Event()

    def consume() -> None:
        """As a member does: after any trouble it believes what the store says."""
        at: int | None = None
        while at is None or at < len(records):
            begin = at or 0
            try:
                processor.process(lane, records[begin : begin + 10], expected=at)
                at = begin + 10
            except (StoreUnavailable, Fenced):
                at = _position(store, lane)
        done.set()

    with ThreadPoolExecutor(1) as pool:
        consumer = pool.submit(consume)
        for part in range(1, 6):
            eventually(lambda: (_position(store, lane) or 0) > part * 500)  # noqa: B023 - used at once
            own_server.kill()
            own_server.start()
        consumer.result(60)
    assert done.is_set()
    assert [int(effect.event_id) for effect in effects(store)] == list(range(len(records)))
    store.close()


def test_a_missing_server_is_said_to_be_missing() -> None:
    missing = testing.why_missing()
    assert missing is None or "install" in missing


def _position(store: Store, lane: Lane) -> int | None:
    """Asks until the store answers."""
    while True:
        try:
            with store.read() as tx:
                return position.read(tx, [lane])[lane]
        except StoreUnavailable:
            continue


def _advance(store: Store, lane: Lane, *, expected: int | None, target: int) -> None:
    with store.write() as tx:
        position.advance(tx, lane, expected=expected, target=target)


def _waiting(store: Store) -> bool:
    with store.read() as tx:
        return bool(tx.execute(text("SELECT 1 FROM pg_locks WHERE NOT granted")).first())
