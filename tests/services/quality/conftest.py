"""The data quality service on each kind of database, and a month of what query engines report."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from trunkline.catalogue.events import Event
from trunkline.client.handler import Received
from trunkline.codec import Envelope, decode
from trunkline.testing.service_desk import ServiceDesk, service_desk
from trunkline.testing.suite.cases.quality import CASE
from trunkline.testing.suite.harness import NOW
from trunkline.testing.suite.streams import batches

Feed = Callable[[Sequence[Envelope[Event]]], None]


@pytest.fixture
def service(store_url: str, tmp_path: Path) -> Iterator[ServiceDesk]:
    """Its clock stands still until a test sets it."""
    with service_desk(
        CASE.service, store_url, tmp_path / "service", now=NOW, settings=dict(CASE.settings)
    ) as desk:
        yield desk


@pytest.fixture
def feed(service: ServiceDesk) -> Feed:
    """Gives events to the service's handler, in batches as they come."""
    handler = service.app.handler
    assert handler is not None

    def give(events: Sequence[Envelope[Event]]) -> None:
        for batch in batches(events, random.Random(0)):
            with service.store.write() as tx:
                handler.handle(tx, [Received(record, decode(record)) for record in batch.records])

    return give


@pytest.fixture(scope="session")
def month() -> list[Envelope[Event]]:
    """Two tenants' events, with faults."""
    return [event for event in CASE.events(11) if event.tenantid in ("acme", "globex")]


@pytest.fixture
def fed(service: ServiceDesk, feed: Feed, month: list[Envelope[Event]]) -> ServiceDesk:
    """The service after the month."""
    feed(month)
    service.now = NOW + timedelta(hours=1)
    return service
