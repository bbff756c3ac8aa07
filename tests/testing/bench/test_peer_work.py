"""What a peer in the benchmark does with an event is the whole work: all is read, nothing counts twice."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from trunkline.catalogue.events.query import TOPIC
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import Record, encode
from trunkline.testing.bench import micro, peer_work
from trunkline.testing.bench.peer_work import Taken

EVENT = Taken(TOPIC, 0, 7, "acme", "/query-engine", micro.envelope().id, "query.completed.v1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with the benchmark's tables."""
    with closing(open_store(f"sqlite:///{tmp_path}/bench.db")) as opened:
        migrate(opened)
        with opened.write() as tx:
            peer_work.METADATA.create_all(tx)
        yield opened


def applied(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(text("SELECT event_id FROM applied ORDER BY number")).scalars())


def test_an_inbox_applies_what_comes_again_once_and_notes_how_far_it_is(store: Store) -> None:
    again, other = replace(EVENT, offset=8), replace(EVENT, offset=9, id="other")
    peer_work.apply_taken(store, "g", [EVENT, again])
    peer_work.apply_taken(store, "g", [again, other])
    assert applied(store) == [EVENT.id, "other"]
    with store.read() as tx:
        assert tx.execute(text("SELECT next_offset FROM inbox_offset")).scalars().all() == [10]


def test_records_are_applied_once_by_hand_too(store: Store) -> None:
    encoded = encode(micro.envelope())
    records = [Record(TOPIC, 1, at, 1, encoded.key, encoded.value, tuple(encoded.headers)) for at in (0, 1)]
    peer_work.apply_records(store, "g", records)
    assert applied(store) == [EVENT.id]


def test_frameworks_and_the_cloudevents_library_read_the_same_event() -> None:
    encoded = encode(micro.envelope())
    message = SimpleNamespace(
        topic=TOPIC,
        partition=0,
        offset=7,
        key=encoded.key,
        value=encoded.value,
        headers=tuple(encoded.headers),
    )
    assert peer_work.Reader().taken(message) == EVENT
    models = peer_work.Models()
    headers = {name: value.decode() for name, value in encoded.headers}
    assert models.taken((TOPIC, 0, 7), headers) == EVENT
    assert models.data.model_validate_json(encoded.value).query_id == micro.EVENT.query_id
