"""Commits of offsets while nobody answers them."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, ConsumerOptions, admin_config, consumer_config
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Admin, Consumer, Partition, committing
from trunkline.client.kafka import consumer as consumer_module
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"
PATIENCE_SECONDS = 0.2


class Owned:
    """A rebalance listener that knows what is assigned."""

    def __init__(self) -> None:
        self.keys: set[Partition] = set()

    def assigned(self, partitions: Sequence[Partition]) -> None:
        self.keys.update(partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        self.keys.difference_update(partitions)

    def lost(self, partitions: Sequence[Partition]) -> None:
        self.keys.difference_update(partitions)


@pytest.fixture
def broker(broker_factory: Callable[..., BrokerProcess]) -> BrokerProcess:
    return broker_factory()


@pytest.fixture
def connection(broker: BrokerProcess, catalogue: Catalogue) -> ConnectionOptions:
    to_it = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(to_it, catalogue, "development")
    return to_it


@pytest.fixture
def consumer(connection: ConnectionOptions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Consumer]:
    """A member that owns its partitions, and does not wait long for an answer."""
    joined = Consumer(consumer_config(connection, ConsumerOptions(group="g")))
    owned = Owned()
    joined.subscribe([TOPIC], owned)
    eventually(lambda: joined.poll(10, 0.05) == [] and len(owned.keys) == 3)
    for module in (committing, consumer_module):
        monkeypatch.setattr(module, "REPLY_SECONDS", PATIENCE_SECONDS)
    yield joined
    joined.close()


def committed(connection: ConnectionOptions) -> int | None:
    return Admin(admin_config(connection)).committed("g").get((TOPIC, 0))


def test_a_commit_that_nobody_answers_is_refused_and_may_be_taken_yet(
    consumer: Consumer, broker: BrokerProcess, connection: ConnectionOptions
) -> None:
    consumer.commit({(TOPIC, 0): 1})
    assert committed(connection) == 1
    broker.pause()
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(CommitRefused, match="_TIMED_OUT"):
            consumer.commit({(TOPIC, 0): 2})
        assert time.monotonic() - began < PATIENCE_SECONDS * 10
        assert not consumer.waits_no_more(0)
    broker.resume()
    eventually(lambda: consumer.waits_no_more(0.1))
    eventually(lambda: committed(connection) == 2)
    eventually(lambda: taken(consumer, 3))
    assert committed(connection) == 3


def taken(consumer: Consumer, offset: int) -> bool:
    try:
        consumer.commit({(TOPIC, 0): offset})
    except CommitRefused:
        return False
    return True


def test_a_consumer_whose_commit_is_not_answered_can_be_closed(
    consumer: Consumer, broker: BrokerProcess
) -> None:
    broker.pause()
    with pytest.raises(CommitRefused):
        consumer.commit({(TOPIC, 0): 1})
    began = time.monotonic()
    consumer.close()
    assert time.monotonic() - began < PATIENCE_SECONDS * 10
    broker.resume()
