"""A store with an outbox, of each kind."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TenantId
from trunkline.client.config import ConnectionOptions
from trunkline.client.outbox import OUTBOX
from trunkline.client.publisher import Publisher
from trunkline.client.reader import TopicReader
from trunkline.client.store import Store, migrate, open_store
from trunkline.codec import Envelope, decode, new_envelope

Made = Callable[..., Envelope[Event]]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = open_store(store_url)
    migrate(opened, OUTBOX)
    yield opened
    opened.close()


@pytest.fixture
def made(event: Event) -> Made:
    """An event of the query engine with this id."""

    def make(event_id: str, *, tenant: str = "acme") -> Envelope[Event]:
        return new_envelope(
            event,
            tenant=TenantId(tenant),
            source="/query-engine",
            time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            id=event_id,
        )

    return make


@pytest.fixture
def publishing(connection: ConnectionOptions, catalogue: Catalogue) -> Iterator[Callable[[], Publisher]]:
    """Opens publishers of the query engine, and closes them at the end."""
    opened: list[Publisher] = []

    def start() -> Publisher:
        opened.append(Publisher(service="query-engine", connection=connection, catalogue=catalogue))
        return opened[-1]

    yield start
    for publisher in opened:
        publisher.close()


@pytest.fixture
def log(connection: ConnectionOptions) -> Callable[[str], list[tuple[str, str]]]:
    """What the topic holds of the tenants whose names begin so: tenant and event id, in order by tenant."""

    def read(prefix: str) -> list[tuple[str, str]]:
        with TopicReader(connection, "query.execution.events") as reader:
            own = [record for record in reader.existing() if (record.key or b"").startswith(prefix.encode())]
        return [(event.tenantid, event.id) for event in map(decode, own)]

    return read
