"""One connection to a broker, and the requests that most tests of its APIs begin or end with."""

import itertools
from typing import TypeVar

from trunkline.broker.protocol.batch import split
from trunkline.broker.protocol.messages.fetch import FetchResponse
from trunkline.broker.protocol.messages.produce import PartitionProduceResponse, ProduceResponse
from trunkline.broker.protocol.messages.topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.records import NewRecord, Record, build, records
from trunkline.testing.wire import WireClient, fetch_request, produce_request

M = TypeVar("M", bound=Message)

_numbers = itertools.count(1)


class ApiDesk:
    """A client that asks one thing after another."""

    def __init__(self, address: str) -> None:
        self.wire = WireClient(address)

    def close(self) -> None:
        """Hang up."""
        self.wire.close()

    def ask(self, request: Message, version: int, response: type[M]) -> M:
        """The answer to a request."""
        answer = self.wire.ask(request, version)
        assert isinstance(answer, response)
        return answer

    def topic(self, partitions: int = 1, **configs: str) -> str:
        """Create a topic that no other test uses."""
        name = f"api.test.{next(_numbers)}"
        created = self.ask(
            CreateTopicsRequest(
                topics=[
                    CreatableTopic(
                        name=name,
                        num_partitions=partitions,
                        replication_factor=1,
                        assignments=[],
                        configs=[
                            CreatableTopicConfig(name=key.replace("_", "."), value=value)
                            for key, value in configs.items()
                        ],
                    )
                ]
            ),
            5,
            CreateTopicsResponse,
        )
        assert created.topics[0].error_code == 0, created.topics[0].error_message
        return name

    def produce(
        self,
        topic: str,
        *values: bytes,
        partition: int = 0,
        acks: int = -1,
        version: int = 9,
        batch: bytes | bytearray | None = None,
    ) -> PartitionProduceResponse:
        """Append one batch of values, or the `batch` given."""
        data = build([NewRecord(None, value) for value in values], timestamp=1000) if batch is None else batch
        request = produce_request(topic, data, partition=partition, acks=acks)
        return self.ask(request, version, ProduceResponse).responses[0].partition_responses[0]

    def fetch(self, topic: str, offset: int = 0, *, partition: int = 0) -> list[Record]:
        """The records from `offset` on, as far as one answer goes."""
        response = self.ask(fetch_request(topic, offset, partition=partition), 11, FetchResponse)
        data = response.responses[0].partitions[0]
        assert data.error_code == 0
        return batches(data.records or b"")


def batches(data: bytes | bytearray | memoryview) -> list[Record]:
    """All records of the batches that lie back to back in `data`."""
    return [record for _, start, _ in split(data) for record in records(data, start)]
