import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.names import ServiceName, TenantId
from trunkline.cli._feed import Feed, Tally, open_publishers
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.publisher import Publisher
from trunkline.errors import TrunklineError
from trunkline.sources.workload import Produced, measure_queries, workload
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess


@pytest.fixture(scope="module")
def publishers(broker: BrokerProcess) -> Iterator[dict[ServiceName, Publisher]]:
    catalogue = load_catalogue()
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    with open_publishers(catalogue, lambda _: connection) as opened:
        yield opened


def events(count: int) -> list[Produced]:
    queries = measure_queries(rounds=1)
    stream = workload(7, [TenantId("acme")], clock=lambda: datetime.now(UTC), queries=queries)
    return list(islice(stream, count))


def no_error(error: TrunklineError) -> None:
    raise AssertionError(str(error))


def test_every_service_that_publishes_has_a_publisher(publishers: dict[ServiceName, Publisher]) -> None:
    assert set(publishers) == {topic.publisher for topic in load_catalogue().topics.values()}


def test_a_tally_counts_what_was_published_and_what_was_acknowledged(
    publishers: dict[ServiceName, Publisher],
) -> None:
    tally = Tally()
    feed = Feed(iter(events(60)), publishers, tally, rate=500, on_error=no_error)
    feed.start()

    def all_settled() -> bool:
        tally.settle()
        return tally.acknowledged_by_topic.total() == 60

    eventually(all_settled)
    feed.stop()
    assert tally.failed == 0
    assert tally.published_by_topic == tally.acknowledged_by_topic


def test_a_feed_keeps_to_its_rate(publishers: dict[ServiceName, Publisher]) -> None:
    tally = Tally()
    feed = Feed(iter(events(400)), publishers, tally, rate=100, on_error=no_error)
    feed.start()
    eventually(lambda: tally.published_by_topic.total() >= 20)
    feed.stop()
    assert tally.published_by_topic.total() < 400


def test_a_refused_event_ends_the_feed_and_is_reported(publishers: dict[ServiceName, Publisher]) -> None:
    errors: list[TrunklineError] = []
    ended = threading.Event()

    def on_error(error: TrunklineError) -> None:
        errors.append(error)
        ended.set()

    wrong = Produced(ServiceName("iam-service"), events(1)[0].topic, events(1)[0].envelope)
    feed = Feed(iter([wrong]), publishers, Tally(), rate=1000, on_error=on_error)
    feed.start()
    assert ended.wait(10)
    feed.stop()
    assert "iam-service does not publish" in str(errors[0])
