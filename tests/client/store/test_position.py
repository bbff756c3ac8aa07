"""The position and its fence."""

from dataclasses import replace

import pytest

from trunkline.client.store import Store, position
from trunkline.client.store.position import Fenced, Lane


def stored(store: Store, lane: Lane) -> int | None:
    with store.read() as tx:
        return position.read(tx, [lane])[lane]


def test_a_position_moves_only_from_where_its_owner_left_it(store: Store, lane: Lane) -> None:
    assert stored(store, lane) is None
    with store.write() as tx:
        position.advance(tx, lane, expected=None, target=5)
        position.advance(tx, lane, expected=5, target=9)
    with pytest.raises(Fenced), store.write() as tx:
        position.advance(tx, lane, expected=5, target=7)
    assert stored(store, lane) == 9


def test_of_two_that_begin_only_one_does(store: Store, lane: Lane) -> None:
    with store.write() as tx:
        position.advance(tx, lane, expected=None, target=1)
    with pytest.raises(Fenced), store.write() as tx:
        position.advance(tx, lane, expected=None, target=1)


def test_a_recreated_topic_begins_anew(store: Store, lane: Lane) -> None:
    with store.write() as tx:
        position.advance(tx, lane, expected=None, target=100)
    recreated = replace(lane, topic_id="another")
    assert stored(store, recreated) is None
    assert stored(store, lane) == 100
