"""A service whose effects can be counted, on a store of its own, with its part in the end of tenants."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, insert, select

from trunkline.catalogue.events import Event, declaration_of
from trunkline.catalogue.events.query import QueryCancelled
from trunkline.catalogue.events.tenant import TenantDeleted
from trunkline.catalogue.names import TenantId
from trunkline.client.config import ConnectionOptions
from trunkline.client.handler import Handler, Received, Refusal
from trunkline.client.store import Store, open_store
from trunkline.codec import Record, decode, encode, new_envelope
from trunkline.services.app import App, Context, Eraser
from trunkline.services.kit.ending import End, Ending
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.harness import UNREACHABLE, context_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
METADATA = MetaData()
EFFECT = Table("effect", METADATA, Column("tenant", Text), Column("event_id", Text))
CASE = Case(service="billing-service", digest=lambda _tx: "")
"""The service in whose name it runs: one that publishes, too."""


class Effects:
    """A handler that writes a row for each event, and an eraser that deletes them."""

    def __init__(self) -> None:
        self.refusals: list[Record] = []
        self.erasures: list[str] = []
        self.objection: Exception | None = None

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        rows = [{"tenant": one.event.tenantid, "event_id": one.event.id} for one in events]
        tx.execute(insert(EFFECT), rows)

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:  # noqa: ARG002 - as in Handler
        self.refusals.append(record)

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        self.erasures.append(tenant)
        gone = tx.execute(delete(EFFECT).where(EFFECT.c.tenant == tenant)).rowcount
        if self.objection is not None:
            raise self.objection
        return {"effect": gone}


@dataclass(frozen=True, slots=True)
class Service:
    """One instance of it."""

    context: Context
    effects: Effects
    ending: Ending

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def handler(self) -> Handler:
        assert self.ending.handler is not None
        return self.ending.handler

    def handle(self, *events: Received) -> None:
        """One committed batch."""
        with self.store.write() as tx:
            self.handler.handle(tx, events)

    def seen(self) -> list[str]:
        """The events that have an effect, in order."""
        with self.store.read() as tx:
            return list(tx.execute(select(EFFECT.c.event_id)).scalars())


NewService = Callable[..., Service]


@contextmanager
def opened(
    url: str, directory: Path, connection: ConnectionOptions, *, late: Handler | None, eraser: Eraser | None
) -> Iterator[Service]:
    store = open_store(url)
    effects = Effects()
    with context_of(CASE, store, directory, now=NOW) as unreachable:
        with store.write() as tx:
            METADATA.create_all(tx)
        context = replace(unreachable, connection=connection)
        app = App(handler=effects, late=late, eraser=eraser or effects)
        yield Service(context, effects, Ending(context, app))
    store.close()


@pytest.fixture
def new_service(store_url: str, tmp_path: Path) -> Iterator[NewService]:
    """Opens instances on one store: `new_service(connection=..., late=...)`."""
    with ExitStack() as instances:

        def new(
            *,
            connection: ConnectionOptions = UNREACHABLE,
            late: Handler | None = None,
            eraser: Eraser | None = None,
        ) -> Service:
            service = opened(store_url, tmp_path / "keys", connection, late=late, eraser=eraser)
            return instances.enter_context(service)

        yield new


def received(event: Event, *, tenant: str, id_: str, offset: int) -> Received:
    """An event as it comes out of its topic."""
    envelope = new_envelope(event, tenant=TenantId(tenant), source="/tests", time=NOW, id=id_)
    encoded = encode(envelope)
    record = Record("topic", 0, offset, 1, encoded.key, encoded.value, tuple(encoded.headers))
    return Received(record, decode(replace_topic(record, envelope.type)))


def replace_topic(record: Record, type_: str) -> Record:
    topic = "tenant.lifecycle.events" if type_.startswith("tenant") else "query.execution.events"
    return Record(topic, record.partition, record.offset, 1, record.key, record.value, record.headers)


def query(tenant: str, number: int) -> Received:
    """Any event of a tenant."""
    event = msgspec.convert(dict(declaration_of(QueryCancelled).example), QueryCancelled)
    return received(event, tenant=tenant, id_=f"{tenant}-{number}", offset=number)


def deleted(tenant: str, number: int) -> Received:
    """The tenant's end, as an event."""
    event = TenantDeleted(name=tenant, actor_id="reaper")
    return received(event, tenant=tenant, id_=f"{tenant}-end", offset=number)


def an_end(tenant: str) -> End:
    """The same, as the topic of ends has it."""
    return End(tenant=tenant, deletion_id=f"{tenant}-end", deleted_at=NOW)


@pytest.fixture(scope="session")
def events() -> tuple[Callable[[str, int], Received], Callable[[str, int], Received], Callable[[str], End]]:
    """`query`, `deleted`, `an_end`."""
    return query, deleted, an_end
