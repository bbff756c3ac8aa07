"""Adding events in a transaction."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.model import Catalogue
from trunkline.client.errors import EventTooLarge, InvalidEvent, NotPublisher
from trunkline.client.outbox import OUTBOX, Outbox, add, rows
from trunkline.client.outbox.tables import METADATA
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import Envelope
from trunkline.testing.postgres import PostgresServer

Made = Callable[..., Envelope[Event]]


def ids(store: Store, tenant: str = "acme") -> list[str]:
    with store.read() as tx:
        return [pending.id for pending in rows.heads(tx, [tenant])]


def test_the_migrated_tables_are_those_the_code_uses(store: Store) -> None:
    with store.read() as tx:
        differences = compare_metadata(MigrationContext.configure(tx), METADATA)
    names = {name for _, item, *_ in differences if (name := getattr(item, "name", "")) is not None}
    assert names <= {"outbox_schema_version"}


def test_what_is_added_comes_out_as_it_was(store: Store, made: Made) -> None:
    envelope = msgspec.structs.replace(
        made("1"),
        subject="ü",
        correlationid="c",
        causationid="d",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        extensions={"region": "eu"},
    )
    with store.write() as tx:
        add(tx, envelope)
    with store.read() as tx:
        assert [pending.envelope() for pending in rows.heads(tx, ["acme"])] == [envelope]


def test_who_wants_to_know_hears_of_every_event_that_was_added(
    store: Store, made: Made, catalogue: Catalogue
) -> None:
    heard: list[int] = []
    outbox = Outbox(service="query-engine", catalogue=catalogue, on_add=lambda: heard.append(1))
    with store.write() as tx:
        outbox.add(tx, made("1"))
        outbox.add(tx, made("2"))
    assert len(heard) == 2


def test_a_rolled_back_transaction_adds_nothing(store: Store, made: Made) -> None:
    def fail() -> None:
        with store.write() as tx:
            add(tx, made("1"))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    assert ids(store) == []


def test_what_the_publisher_would_refuse_is_refused_at_once(
    store: Store, catalogue: Catalogue, event: Event, made: Made
) -> None:
    outbox = Outbox(service="query-engine", catalogue=catalogue)
    foreign = ConfigValueSet(key="a.b", level="global", value=1, version=1, actor_id="ana")
    with store.write() as tx:
        with pytest.raises(NotPublisher):
            outbox.emit(tx, foreign, tenant="acme")
        with pytest.raises(InvalidEvent):
            outbox.emit(tx, event, tenant="no tenant!")
        with pytest.raises(InvalidEvent):
            add(tx, msgspec.structs.replace(made("1"), id=""))
        with pytest.raises(EventTooLarge):
            Outbox(service="query-engine", catalogue=catalogue, message_bytes_max=10).emit(
                tx, event, tenant="acme"
            )
        assert outbox.emit(tx, event, tenant="acme", id="fine").source == "/query-engine"
    assert ids(store) == ["fine"]


def test_the_order_of_a_tenant_is_that_of_commit_and_other_tenants_do_not_wait(
    postgres_server: PostgresServer, made: Made
) -> None:
    """Without the tenant's lock the second transaction would commit first with the greater number."""
    store = open_store(postgres_server.create_database())
    migrate(store, OUTBOX)
    begun, go_on = Flag(), Flag()

    def slow() -> None:
        with store.write() as tx:
            add(tx, made("first"))
            begun.set()
            assert go_on.wait(10)
            add(tx, made("second"))

    def quick(event_id: str, tenant: str) -> None:
        with store.write() as tx:
            add(tx, made(event_id, tenant=tenant))

    with ThreadPoolExecutor(2) as pool:
        slow_one = pool.submit(slow)
        assert begun.wait(10)
        waiting = pool.submit(quick, "third", "acme")
        quick("other", "globex")
        assert ids(store, "globex") == ["other"]
        assert ids(store) == []
        assert not waiting.done()
        go_on.set()
        slow_one.result()
        waiting.result()
    assert ids(store) == ["first", "second", "third"]
    store.close()
