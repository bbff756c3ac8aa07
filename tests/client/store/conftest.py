"""Records and lanes for tests of the store."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trunkline.catalogue.events import Event
from trunkline.catalogue.names import TenantId
from trunkline.client.handler import Received
from trunkline.client.store import Store, migrate, open_store
from trunkline.client.store.position import Lane
from trunkline.codec import Record, decode, encode, new_envelope

Receive = Callable[..., Received]


@pytest.fixture
def lane() -> Lane:
    return Lane(group="g", cluster_id="c", topic="query.execution.events", topic_id="i", partition=0)


@pytest.fixture
def receive(event: Event) -> Receive:
    """A received event; the same arguments give the same bytes."""

    def build(
        event_id: str, *, tenant: str = "acme", subject: str | None = None, offset: int = 0
    ) -> Received:
        moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        envelope = new_envelope(
            event, tenant=TenantId(tenant), source="/s", time=moment, id=event_id, subject=subject
        )
        encoded = encode(envelope)
        record = Record(
            topic="query.execution.events",
            partition=0,
            offset=offset,
            timestamp_ms=1,
            key=encoded.key,
            value=encoded.value,
            headers=tuple(encoded.headers),
        )
        return Received(record, decode(record))

    return build


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A migrated store of each kind."""
    opened = open_store(store_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """For what only SQLite does."""
    opened = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    migrate(opened)
    yield opened
    opened.close()
