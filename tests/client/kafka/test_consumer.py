"""What a consumer says of trouble that passes by itself."""

from collections.abc import Callable, Sequence

from trunkline.client.config import ConnectionOptions, ConsumerOptions, consumer_config, reader_config
from trunkline.client.kafka import Consumer, Partition
from trunkline.testing.consuming import eventually


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


def test_a_subscribed_topic_that_is_missing_is_told_and_is_no_failure(
    connection: ConnectionOptions, unique: Callable[[str], str]
) -> None:
    told: list[tuple[str, str]] = []
    config = consumer_config(connection, ConsumerOptions(group=unique("group")))
    consumer = Consumer(config, on_trouble=lambda *error: told.append(error))
    consumer.subscribe(["no.such.topic"], Ignored())
    eventually(lambda: consumer.poll(10, 0.05) == [] and any("no.such.topic" in text for _, text in told))
    consumer.close()
