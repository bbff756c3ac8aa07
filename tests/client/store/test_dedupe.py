"""Which events count as seen before."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event

from trunkline.client.handler import Received, RetryLater
from trunkline.client.store import Store, dedupe

Receive = Callable[..., Received]


def remember(tx: Connection, received: Received) -> None:
    dedupe.remember(tx, "g", [received], dedupe.sift(tx, "g", [received]).digests)


def test_an_event_is_fresh_once_and_a_duplicate_ever_after(store: Store, receive: Receive) -> None:
    batch = [receive("1"), receive("2", offset=1)]
    with store.write() as tx:
        sifted = dedupe.sift(tx, "g", batch)
        assert sifted.fresh == batch
        dedupe.remember(tx, "g", sifted.fresh, sifted.digests)
    with store.write() as tx:
        sifted = dedupe.sift(tx, "g", [*batch, receive("3", offset=2)])
    assert [received.event.id for received in sifted.fresh] == ["3"]
    assert sifted.duplicates == batch
    assert sifted.conflicts == []


def test_a_repetition_within_a_batch_is_a_duplicate_too(store: Store, receive: Receive) -> None:
    with store.write() as tx:
        sifted = dedupe.sift(tx, "g", [receive("1"), receive("1", offset=1), receive("1", offset=2)])
    assert [received.record.offset for received in sifted.fresh] == [0]
    assert [received.record.offset for received in sifted.duplicates] == [1, 2]


def test_the_same_identity_with_other_content_is_a_conflict(store: Store, receive: Receive) -> None:
    with store.write() as tx:
        remember(tx, receive("1"))
        sifted = dedupe.sift(tx, "g", [receive("1", subject="another")])
    assert len(sifted.conflicts) == 1
    assert sifted.fresh == []


def test_one_tenants_id_does_not_suppress_anothers_nor_one_groups_anothers(
    store: Store, receive: Receive
) -> None:
    with store.write() as tx:
        remember(tx, receive("1"))
        assert len(dedupe.sift(tx, "g", [receive("1", tenant="other")]).fresh) == 1
        assert len(dedupe.sift(tx, "h", [receive("1")]).fresh) == 1


def test_an_empty_batch_asks_the_store_nothing(store: Store) -> None:
    with store.read() as tx:
        assert dedupe.sift(tx, "g", []) == dedupe.Sifted([], [], [], {})
    with store.write() as tx:
        dedupe.remember(tx, "g", [], {})


def test_a_batch_larger_than_one_query_is_sifted_whole(store: Store, receive: Receive) -> None:
    batch = [receive(str(number), offset=number) for number in range(2 * dedupe.LOOKUP_MAX + 1)]
    with store.write() as tx:
        dedupe.remember(tx, "g", batch, dedupe.sift(tx, "g", batch).digests)
        assert dedupe.sift(tx, "g", batch).duplicates == batch


def test_looking_up_a_batch_does_not_walk_through_the_table(sqlite_store: Store, receive: Receive) -> None:
    """The table grows with every event there ever was; the look-up must not."""
    statement: list[tuple[str, object]] = []

    def keep(_connection: object, _cursor: object, sql: str, parameters: object, *_: object) -> None:
        statement.append((sql, parameters))

    with sqlite_store.read() as tx:
        event.listen(tx, "before_cursor_execute", keep)
        dedupe.sift(tx, "g", [receive("1"), receive("2")])
        event.remove(tx, "before_cursor_execute", keep)
        sql, parameters = statement[0]
        assert isinstance(parameters, tuple)
        plan = [row[3] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert "SEARCH known USING PRIMARY KEY (consumer_group=? AND id=? AND tenantid=? AND source=?)" in plan


def test_an_event_that_another_member_has_just_processed_is_no_fault_of_the_event(
    store: Store, receive: Receive
) -> None:
    """The same event may come from two partitions at once, after a topic has grown."""
    fresh = receive("1")
    with store.write() as tx:
        digests = dedupe.sift(tx, "g", [fresh]).digests
        remember(tx, fresh)
    with pytest.raises(RetryLater, match="another member"), store.write() as tx:
        dedupe.remember(tx, "g", [fresh], digests)
    with store.write() as tx:
        assert dedupe.sift(tx, "g", [fresh]).duplicates == [fresh]


def test_a_batch_that_is_all_new_is_marked_with_one_statement(store: Store, receive: Receive) -> None:
    batch = [receive(str(number), offset=number) for number in range(dedupe.LOOKUP_MAX + 1)]
    with store.write() as tx:
        assert dedupe.claim(tx, "g", batch)
        assert dedupe.claim(tx, "g", [])
    with store.read() as tx:
        assert dedupe.sift(tx, "g", batch).duplicates == batch
        assert len(dedupe.sift(tx, "g", [receive("1", subject="another")]).conflicts) == 1


def test_a_batch_with_one_known_event_or_one_event_twice_is_not_all_new(
    store: Store, receive: Receive
) -> None:
    with store.write() as tx:
        remember(tx, receive("1"))
        assert not dedupe.claim(tx, "g", [receive("2"), receive("1", subject="another")])
    with store.write() as tx:
        assert not dedupe.claim(tx, "g", [receive("3"), receive("3", offset=1)])
        assert dedupe.claim(tx, "h", [receive("1")])
