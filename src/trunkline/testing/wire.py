"""A client that speaks the Kafka protocol a frame at a time, to ask a broker what no Kafka library would."""

import socket
import struct
from types import TracebackType
from typing import Final, Self

from trunkline.broker.protocol.codec import decode, encode_bytes
from trunkline.broker.protocol.header import encode_request_header, encode_response_header
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.registry import API

ANSWER_DEADLINE_S: Final = 20.0

_SIZE: Final = struct.Struct(">i")


class WireClient:
    """One blocking connection. Raises `TimeoutError` when an answer takes too long."""

    def __init__(self, address: str, *, timeout_s: float = ANSWER_DEADLINE_S) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._correlation_id = 0

    def ask(self, request: Message, version: int) -> Message:
        """Send a request and wait for its response."""
        self.send(request, version)
        return self.receive(request, version)

    def send(self, request: Message, version: int) -> None:
        """Send a request without waiting."""
        self._correlation_id += 1
        header = encode_request_header(
            request.api.key, version, correlation_id=self._correlation_id, client_id="wire"
        )
        frame = header + encode_bytes(request, version)
        self.socket.sendall(_SIZE.pack(len(frame)) + frame)

    def receive(self, request: Message, version: int) -> Message:
        """Wait for the response to the last request. Raises `ConnectionError` when the broker hangs up."""
        (size,) = _SIZE.unpack(self._exactly(_SIZE.size))
        frame = self._exactly(size)
        header = encode_response_header(request.api.key, version, correlation_id=self._correlation_id)
        assert frame.startswith(header), "the answer is to another request"
        return decode(API[request.api.key].response, version, frame[len(header) :])

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
