"""Which revision a store's tables are of."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import inspect, text

from trunkline.client.store import CONSUMER_STATE, Store, migrate, open_store
from trunkline.client.store.standing import standing


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with closing(open_store(store_url)) as opened:
        yield opened


def test_an_empty_store_has_no_revision_and_gets_no_table(store: Store) -> None:
    found = standing(store, CONSUMER_STATE)
    assert (found.current, found.known, found.is_newest) == (None, True, False)
    with store.read() as tx:
        assert inspect(tx).get_table_names() == []


def test_a_migrated_store_is_of_the_newest_revision(store: Store) -> None:
    migrate(store)
    found = standing(store, CONSUMER_STATE)
    assert found.is_newest
    assert found.current == found.newest


def test_a_revision_of_another_version_is_not_known(store: Store) -> None:
    migrate(store)
    with store.write() as tx:
        tx.execute(text(f"UPDATE {CONSUMER_STATE.version_table} SET version_num = 'later'"))
    assert not standing(store, CONSUMER_STATE).known
