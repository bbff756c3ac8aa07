"""A client that speaks the Kafka protocol a frame at a time, to ask a broker what no Kafka library would."""

import socket
import struct
from collections import deque
from types import TracebackType
from typing import Final, Self

from trunkline.broker.protocol.codec import decode, encode_bytes
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.header import encode_request_header, encode_response_header
from trunkline.broker.protocol.messages.fetch import (
    FetchPartition,
    FetchPartitionData,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from trunkline.broker.protocol.messages.produce import (
    InitProducerIdRequest,
    InitProducerIdResponse,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.registry import API

ANSWER_DEADLINE_S: Final = 20.0

FETCH_BYTES: Final = 1 << 20
PRODUCE_VERSION: Final = 9
FETCH_VERSION: Final = 12
"""The last versions that name topics."""

_SIZE: Final = struct.Struct(">i")


def fetch_request(
    topic: str,
    offset: int,
    *,
    partition: int = 0,
    max_wait_ms: int = 0,
    min_bytes: int = 1,
    max_bytes: int = FETCH_BYTES,
    partition_max_bytes: int | None = None,
    epoch: int = -1,
) -> FetchRequest:
    """A fetch of one partition; it may have all of the answer unless `partition_max_bytes` says less."""
    wanted = FetchPartition(
        partition=partition,
        fetch_offset=offset,
        partition_max_bytes=max_bytes if partition_max_bytes is None else partition_max_bytes,
        current_leader_epoch=epoch,
    )
    return FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        topics=[FetchTopic(topic=topic, partitions=[wanted])],
    )


def produce_request(
    topic: str, batch: bytes | bytearray, *, partition: int = 0, acks: int = -1
) -> ProduceRequest:
    """A record batch for one partition."""
    return ProduceRequest(
        acks=acks,
        timeout_ms=10_000,
        topic_data=[
            TopicProduceData(
                name=topic, partition_data=[PartitionProduceData(index=partition, records=batch)]
            )
        ],
    )


class WireClient:
    """One blocking connection. Raises `TimeoutError` when an answer takes too long."""

    def __init__(self, address: str, *, timeout_s: float = ANSWER_DEADLINE_S) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = 0
        self._unanswered: deque[int] = deque()

    def ask(self, request: Message, version: int) -> Message:
        """Send a request and wait for its response."""
        self.send(request, version)
        return self.receive(request, version)

    def send(self, request: Message, version: int, *, answered: bool = True) -> None:
        """Send a request without waiting. One that will not be `answered` must not be waited for."""
        self._sent += 1
        if answered:
            self._unanswered.append(self._sent)
        header = encode_request_header(request.api.key, version, correlation_id=self._sent, client_id="wire")
        frame = header + encode_bytes(request, version)
        self.socket.sendall(_SIZE.pack(len(frame)) + frame)

    def receive(self, request: Message, version: int) -> Message:
        """Wait for the response to the first request that has none. Raises `ConnectionError`."""
        (size,) = _SIZE.unpack(self._exactly(_SIZE.size))
        frame = self._exactly(size)
        header = encode_response_header(request.api.key, version, correlation_id=self._unanswered.popleft())
        assert frame.startswith(header), "the answer is to another request"
        return decode(API[request.api.key].response, version, frame[len(header) :])

    def produce(self, topic: str, batch: bytes | bytearray, *, acks: int = -1) -> PartitionProduceResponse:
        """Produce one record batch to partition 0."""
        answer = self.ask(produce_request(topic, batch, acks=acks), PRODUCE_VERSION)
        assert isinstance(answer, ProduceResponse)
        return answer.responses[0].partition_responses[0]

    def fetch(
        self,
        topic: str,
        offset: int,
        *,
        max_wait_ms: int = 0,
        min_bytes: int = 1,
        max_bytes: int = FETCH_BYTES,
        partition_max_bytes: int | None = None,
    ) -> FetchPartitionData:
        """Fetch from partition 0."""
        request = fetch_request(
            topic,
            offset,
            max_wait_ms=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            partition_max_bytes=partition_max_bytes,
        )
        answer = self.ask(request, FETCH_VERSION)
        assert isinstance(answer, FetchResponse)
        return answer.responses[0].partitions[0]

    def producer_id(self) -> tuple[int, int]:
        """The id and epoch of a new idempotent producer."""
        answer = self.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000), 4)
        assert isinstance(answer, InitProducerIdResponse)
        assert answer.error_code == ErrorCode.NONE
        return answer.producer_id, answer.producer_epoch

    def closed_by_peer(self) -> bool:
        """Wait until the broker hangs up; False when it does not within the time-out."""
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            chunk = self.socket.recv(size - len(received))
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            received += chunk
        return bytes(received)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
