"""What a consumer says of trouble that passes by itself, and of its commits."""

from collections.abc import Callable, Mapping, Sequence

from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions, ConsumerOptions, consumer_config, reader_config
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Consumer, Partition
from trunkline.testing.consuming import eventually

TOPIC = "query.execution.events"


def test_brokers_that_are_down_are_told_and_are_no_failure() -> None:
    told: list[tuple[str, str]] = []
    nowhere = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    consumer = Consumer(reader_config(nowhere), on_trouble=lambda *error: told.append(error))
    consumer.assign({("t", 0): 0})
    eventually(lambda: consumer.poll(10, 0.05) == [] and "_ALL_BROKERS_DOWN" in dict(told))
    consumer.close()


class Ignored:
    """A rebalance listener that does nothing."""

    def assigned(self, partitions: Sequence[Partition]) -> None: ...
    def revoked(self, partitions: Sequence[Partition]) -> None: ...
    def lost(self, partitions: Sequence[Partition]) -> None: ...


class Joined(Ignored):
    """Keeps what it was assigned."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []

    def assigned(self, partitions: Sequence[Partition]) -> None:
        self.partitions += partitions


def test_a_subscribed_topic_that_is_missing_is_told_and_is_no_failure(
    connection: ConnectionOptions, unique: Callable[[str], str]
) -> None:
    told: list[tuple[str, str]] = []
    config = consumer_config(connection, ConsumerOptions(group=unique("group")))
    consumer = Consumer(config, on_trouble=lambda *error: told.append(error))
    consumer.subscribe(["no.such.topic"], Ignored())
    eventually(lambda: consumer.poll(10, 0.05) == [] and any("no.such.topic" in text for _, text in told))
    consumer.close()


def test_what_became_of_a_commit_is_told_by_a_later_poll(
    connection: ConnectionOptions, catalogue: Catalogue, unique: Callable[[str], str]
) -> None:
    ensure_topics(connection, catalogue, "development")
    heard: list[tuple[Mapping[Partition, int], CommitRefused | None]] = []
    config = consumer_config(connection, ConsumerOptions(group=unique("group"), session_timeout_ms=6_000))
    outsider = Consumer(config, on_commit=lambda *answer: heard.append(answer))
    outsider.assign({(TOPIC, 0): 0})
    outsider.commit_soon({(TOPIC, 0): 5})
    eventually(lambda: outsider.poll(1, 0.05) is not None and bool(heard))
    assert heard == [({(TOPIC, 0): 5}, None)]
    assert outsider.committed([(TOPIC, 0)]) == {(TOPIC, 0): 5}
    heard.clear()
    joined = Joined()
    member = Consumer(config)
    member.subscribe([TOPIC], joined)
    eventually(lambda: member.poll(1, 0.05) is not None and bool(joined.partitions))
    # Where a group has members, nobody else may commit for it.
    outsider.commit_soon({(TOPIC, 0): 6})
    eventually(lambda: outsider.poll(1, 0.05) is not None and bool(heard))
    ((offsets, refused),) = heard
    assert offsets == {(TOPIC, 0): 6}
    assert refused is not None
    assert (refused.reason, refused.rebalance) == ("UNKNOWN_MEMBER_ID", True)
    member.close()
    outsider.close()
