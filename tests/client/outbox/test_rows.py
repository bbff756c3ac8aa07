"""Rows that somebody's SQL has written: each stops its own tenant at the most."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError

from trunkline.catalogue.events import Event
from trunkline.client.backoff import Backoff
from trunkline.client.outbox import OUTBOX, Relay, add, rows
from trunkline.client.outbox.tables import OUTBOX_EVENT
from trunkline.client.publisher import Publisher
from trunkline.client.store import Component, Store, migrate, open_store
from trunkline.codec import Envelope
from trunkline.codec.errors import CodecError
from trunkline.testing.consuming import eventually

Made = Callable[..., Envelope[Event]]
NOBODY = ["''", "'no tenant!'", "CAST(x'6DFF' AS TEXT)", "x'6D616C6C6F7279'"]
"""What may stand for a tenant and is none: texts, and on SQLite a text that is no UTF-8, and bytes."""
ON_ANY = NOBODY[:2]


def insert_row(store: Store, **columns: object) -> None:
    """A row as a program without this library would write it, with these columns of its own."""
    sound = {
        "id": "foreign",
        "aggregatetype": "query.execution.events",
        "aggregateid": "mallory",
        "type": "query.completed.v1",
        "source": "/x",
        "time": "2026-01-01T00:00:00Z",
        "payload": b"{}",
        "headers": "{}",
        "added_ms": 0,
        "attempts": 0,
    }
    with store.write() as tx:
        tx.execute(insert(OUTBOX_EVENT).values({**sound, **columns}))


@pytest.fixture
def before(store_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store with the outbox's first schema, which took every row."""
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(OUTBOX.scripts / "r0001_outbox.py", first)
    opened = open_store(store_url)
    migrate(opened, Component(OUTBOX.name, first))
    yield opened
    opened.close()


def takes_bytes(store: Store) -> bool:
    return store.url.startswith("sqlite")


@pytest.mark.parametrize("tenant", NOBODY)
def test_who_writes_a_row_without_a_tenant_is_told_at_once(store: Store, tenant: str) -> None:
    if tenant not in ON_ANY and not takes_bytes(store):
        return
    with pytest.raises(IntegrityError, match="outbox_event_names_tenant"):
        insert_row(store, aggregateid=literal_column(tenant))
    insert_row(store)
    with pytest.raises(IntegrityError, match="outbox_event_names_tenant"), store.write() as tx:
        tx.execute(update(OUTBOX_EVENT).values(aggregateid=literal_column(tenant)))


def test_a_row_from_before_that_names_no_tenant_is_stuck_with_a_reason_and_the_others_go_on(
    before: Store, publishing: Callable[[], Publisher], made: Made, unique: Callable[[str], str]
) -> None:
    nobody = NOBODY if takes_bytes(before) else ON_ANY
    for tenant in nobody:
        insert_row(before, aggregateid=literal_column(tenant))
    migrate(before, OUTBOX)
    with before.write() as tx:
        add(tx, made("1", tenant=unique("t")))
    relay = Relay(before, publishing(), retry=Backoff(first=0.02, longest=0.1))
    ended: list[Exception] = []
    relay.start(on_failure=ended.append)
    try:
        eventually(lambda: pending(before) == len(nobody))
    finally:
        relay.stop()
    assert ended == []
    with before.write() as tx:
        listed = rows.stuck(tx)
        assert [row.tenant for row in listed] == ["", "no tenant!", "m\ufffd", "mallory"][: len(nobody)]
        assert all("names no tenant" in row.error for row in listed if row.tenant != "no tenant!")
        rows.discard(tx, [row.position for row in listed], note="nobody's", now_ms=1)
    assert pending(before) == 0


def test_moving_to_the_rule_keeps_positions_growing(before: Store, made: Made) -> None:
    with before.write() as tx:
        add(tx, made("1"))
        (first,) = rows.heads(tx, ["acme"])
        rows.remove(tx, [first.position])
    migrate(before, OUTBOX)
    with before.write() as tx:
        add(tx, made("2"))
        (second,) = rows.heads(tx, ["acme"])
    assert second.position > first.position


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["id", "aggregatetype", "headers"])
@pytest.mark.parametrize("value", ["x'FF'", "CAST(x'FF' AS TEXT)"])
def test_what_is_no_text_is_refused_when_the_event_is_read(store: Store, column: str, value: str) -> None:
    insert_row(store, **{column: literal_column(value)})
    with store.read() as tx:
        assert rows.tenants_behind(tx, "") == ["mallory"]
        (found,) = rows.heads(tx, ["mallory"])
    with pytest.raises(CodecError, match=f"{column} at position {found.position} is no text"):
        found.envelope()


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_text_where_the_payload_belongs_is_read_as_its_bytes(store: Store, made: Made) -> None:
    with store.write() as tx:
        add(tx, made("1"))
        tx.exec_driver_sql("UPDATE outbox_event SET payload = CAST(payload AS TEXT)")
        assert tx.execute(select(func.typeof(OUTBOX_EVENT.c.payload))).scalar_one() == "text"
        (found,) = rows.heads(tx, ["acme"])
    assert found.envelope() == made("1")


def pending(store: Store) -> int:
    with store.read() as tx:
        return rows.status(tx).pending
