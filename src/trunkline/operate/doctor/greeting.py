"""Asks a broker, before any login, what it speaks: ApiVersions, which every client may send first (KIP-511).

librdkafka keeps the answer to itself. It tells the cluster's features (KIP-584) and so which version of the
metadata it has, and an answer at all tells plaintext from TLS.
"""

import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from trunkline import __version__
from trunkline.broker.protocol.codec import decode, encode_bytes
from trunkline.broker.protocol.header import encode_request_header, encode_response_header
from trunkline.broker.protocol.messages.versions import ApiVersionsRequest, ApiVersionsResponse
from trunkline.broker.protocol.primitives import MalformedMessage

GREETING_SECONDS: Final = 3.0
VERSION: Final = 3
"""The first that tells features."""

ANSWER_BYTES_MAX: Final = 1 << 16
METADATA: Final = "metadata.version"
TLS_ALERT: Final = 0x15
"""The first byte of what a TLS port says to who speaks in the clear (RFC 8446, 5.1)."""

_SIZE: Final = struct.Struct(">i")


class Stream(Protocol):
    """A connected socket, in the clear or in TLS."""

    def settimeout(self, seconds: float, /) -> None: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...


class NotKafka(Exception):  # noqa: N818 - control flow of one module and its callers
    """What answered is no Kafka broker that listens in this way. `tls` says that it asked for encryption."""

    def __init__(self, why: str, *, tls: bool = False) -> None:
        super().__init__(why)
        self.tls = tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a broker speaks. `apis` has the last version by API key; `features` the levels in force."""

    apis: Mapping[int, int]
    features: Mapping[str, int]


def greet(stream: Stream) -> Greeting:
    """Ask on a fresh connection, for `GREETING_SECONDS` in all, however slowly the answer drips.

    Raises `NotKafka`, and `OSError` for a connection that broke.
    """
    deadline = time.monotonic() + GREETING_SECONDS
    request = ApiVersionsRequest(client_software_name="trunkline", client_software_version=__version__)
    header = encode_request_header(request.api.key, VERSION, correlation_id=1, client_id="trunkline-doctor")
    frame = header + encode_bytes(request, VERSION)
    stream.settimeout(GREETING_SECONDS)
    stream.sendall(_SIZE.pack(len(frame)) + frame)
    head = _exactly(stream, _SIZE.size, deadline)
    if head[0] == TLS_ALERT:
        raise NotKafka("it answers with a TLS alert", tls=True)
    (size,) = _SIZE.unpack(head)
    if not 0 < size <= ANSWER_BYTES_MAX:
        raise NotKafka(f"it answers with {head!r}, which is not Kafka's protocol")
    answer = _exactly(stream, size, deadline)
    # Of this API alone the answer's header has no tagged fields, so that any client understands it.
    expected = encode_response_header(request.api.key, VERSION, correlation_id=1)
    if not answer.startswith(expected):
        raise NotKafka("it answers something else than was asked")
    try:
        found = decode(ApiVersionsResponse, VERSION, answer[len(expected) :])
    except MalformedMessage as error:
        raise NotKafka(f"its answer cannot be read, as of a broker before Kafka 2.4 ({error})") from error
    return Greeting(
        apis={api.api_key: api.max_version for api in found.api_keys},
        features={feature.name: feature.max_version_level for feature in found.finalized_features},
    )


def greet_in_the_clear(host: str, port: int) -> Greeting:
    """As `greet`, on a connection without TLS."""
    with socket.create_connection((host, port), timeout=GREETING_SECONDS) as stream:
        return greet(stream)


def _exactly(stream: Stream, size: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {GREETING_SECONDS:g} s")
        stream.settimeout(left)
        chunk = stream.recv(size - len(received))
        if not chunk:
            raise NotKafka("it hangs up without an answer")
        received += chunk
    return bytes(received)
