"""Reads a topic without a group: nothing is committed and nobody's assignment changes."""

import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from trunkline.client import diagnosis
from trunkline.client.config import ConnectionOptions, admin_config, reader_config
from trunkline.client.errors import KafkaFailed, TopicMissing
from trunkline.client.kafka import Admin, Consumer
from trunkline.codec.record import Record

POLL_SECONDS = 0.1
POLL_RECORDS_MAX = 500


class TopicReader:
    """One pass over a topic. A context manager; only `stop` may be called from another thread."""

    def __init__(self, connection: ConnectionOptions, topic: str) -> None:
        """Raises `TopicMissing` if the cluster has no such topic, and `ClusterUnavailable`."""
        admin = Admin(admin_config(connection))
        found = admin.describe([topic]).get(topic)
        if found is None:
            raise TopicMissing(
                f"the cluster at {connection.bootstrap_servers} has no topic {topic}; `trunkline topics` "
                "lists those of the contract, `trunkline topics create` creates them"
            )
        self.topic = topic
        self.bounds: Mapping[int, tuple[int, int]] = {
            number: bounds
            for (_, number), bounds in admin.offsets(
                [(topic, number) for number in range(found.partitions)]
            ).items()
        }
        """First offset and the one after the last by partition, when this was opened."""
        self._consumer = Consumer(reader_config(connection))
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End the iteration that is under way, or the next one at once."""
        self._stopping.set()

    def existing(self, *, last: int | None = None) -> Iterator[Record]:
        """The records that were there when this was opened, or the last so many of each partition.

        Raises `KafkaFailed` when the cluster refuses to give them.
        """
        starts = {
            number: low if last is None else max(low, high - last)
            for number, (low, high) in self.bounds.items()
        }
        open_partitions = {number for number, (_, high) in self.bounds.items() if starts[number] < high}
        self._assign({number: starts[number] for number in open_partitions})
        while open_partitions and not self._stopping.is_set():
            for record in self._poll():
                high = self.bounds[record.partition][1]
                if record.offset < high:
                    yield record
                if record.offset + 1 >= high:
                    open_partitions.discard(record.partition)
            open_partitions -= {number for _, number in self._consumer.at_end}

    def following(self) -> Iterator[Record]:
        """The records from then on, until `stop`. Raises as `existing` does."""
        self._assign({number: high for number, (_, high) in self.bounds.items()})
        while not self._stopping.is_set():
            yield from self._poll()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def _poll(self) -> list[Record]:
        try:
            return self._consumer.poll(POLL_RECORDS_MAX, POLL_SECONDS)
        except KafkaFailed as error:
            if advice := diagnosis.grant(error.code, f"topic {self.topic}", "Read"):
                raise KafkaFailed(error.code, f"{error}; {advice}") from error
            raise

    def _assign(self, offsets: Mapping[int, int]) -> None:
        self._consumer.assign({(self.topic, number): offset for number, offset in offsets.items()})
