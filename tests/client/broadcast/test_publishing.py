"""Snapshots that are published again and again."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from trunkline.catalogue.events.config import ConfigValueSet
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.client.admin import ensure_topics
from trunkline.client.broadcast.entries import Entry, Name
from trunkline.client.broadcast.publishing import SnapshotPublisher
from trunkline.client.broadcast.reading import read_state
from trunkline.client.broadcast.state import State
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.codec import new_envelope
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess


@pytest.fixture
def state() -> State:
    """More than one event can hold."""
    state = State()
    for number in range(12):
        event = ConfigValueSet(
            key=f"k{number}", level="global", value="x" * 100_000, version=number + 1, actor_id="u"
        )
        at = datetime(2026, 1, 1, tzinfo=UTC)
        state.apply(new_envelope(event, tenant=SYSTEM_TENANT, source="/config-service", time=at))
    return state


def test_the_first_snapshot_comes_at_once_and_the_next_one_after_the_interval(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, state: State
) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    ensure_topics(connection, catalogue, "development")
    asked: list[int] = []

    def entries() -> dict[Name, Entry]:
        asked.append(len(asked))
        return dict(state.entries)

    with Publisher(service="config-service", connection=connection, catalogue=catalogue) as publisher:
        snapshots = SnapshotPublisher(
            publisher,
            entries,
            environment=catalogue.environment("development"),
            every_seconds=0.2,
        )
        snapshots.start()
        eventually(lambda: len(asked) > 1)
        snapshots.stop()
    whole = read_state(connection)
    assert (whole.state.digest, whole.rejected) == (state.digest, 0)


def test_a_configuration_that_cannot_be_had_at_the_moment_is_published_later(
    broker_factory: Callable[..., BrokerProcess], catalogue: Catalogue, state: State
) -> None:
    connection = ConnectionOptions(bootstrap_servers=broker_factory().address)
    ensure_topics(connection, catalogue, "development")
    asked: list[int] = []

    def entries() -> dict[Name, Entry]:
        asked.append(len(asked))
        if len(asked) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return dict(state.entries)

    with Publisher(service="config-service", connection=connection, catalogue=catalogue) as publisher:
        snapshots = SnapshotPublisher(
            publisher, entries, environment=catalogue.environment("development"), every_seconds=0.2
        )
        snapshots.start()
        eventually(lambda: len(asked) > 2)
        snapshots.stop()
    assert read_state(connection).state.digest == state.digest
