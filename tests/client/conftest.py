"""What the client's tests share: a broker with the contract's topics, a store, events."""

import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from trunkline.catalogue.events import EVENT_TYPES, Event
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import EventType
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.client.store import Store, migrate, open_store

with warnings.catch_warnings():
    # kafka-python reads its own data files in a deprecated way, once, when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.record.default_records  # noqa: F401 - imported for the tests that come

EXAMPLE_TYPE = EventType("query.completed.v1")


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue(None)


@pytest.fixture
def event() -> Event:
    """An event of the query engine."""
    declaration = EVENT_TYPES[EXAMPLE_TYPE]
    return msgspec.convert(dict(declaration.example), declaration.cls)


@pytest.fixture(scope="module")
def connection(engine: ConnectionOptions, catalogue: Catalogue) -> ConnectionOptions:
    """To a cluster of either engine that tests share, with the contract's topics."""
    ensure_topics(engine, catalogue, "development")
    return engine


@pytest.fixture
def publisher(connection: ConnectionOptions, catalogue: Catalogue) -> Iterator[Publisher]:
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path / 'service.db'}")
    migrate(opened)
    yield opened
    opened.close()


_numbers = count(1)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name that no other test uses: tests of a module share its broker."""
    return lambda stem: f"{stem}-{next(_numbers)}"
