"""What is listed is what is served, and a client from the future gets an answer it can read."""

import struct

import pytest

from trunkline.broker.api.registry import HANDLERS
from trunkline.broker.protocol.codec import decode
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.versions import ApiVersionsRequest, ApiVersionsResponse
from trunkline.broker.protocol.registry import API
from trunkline.testing.api_desk import ApiDesk


@pytest.mark.parametrize("version", range(5))
def test_every_version_lists_what_is_served(desk: ApiDesk, version: int) -> None:
    answer = desk.ask(ApiVersionsRequest(), version, ApiVersionsResponse)
    assert {entry.api_key for entry in answer.api_keys} == set(HANDLERS) == set(API)
    for entry in answer.api_keys:
        assert entry.max_version == API[entry.api_key].last_version


def test_produce_is_listed_from_version_0(desk: ApiDesk) -> None:
    answer = desk.ask(ApiVersionsRequest(), 3, ApiVersionsResponse)
    assert next(entry.min_version for entry in answer.api_keys if entry.api_key == 0) == 0


def test_a_version_from_the_future_gets_version_0_and_the_list(desk: ApiDesk) -> None:
    frame = struct.pack(">hhih", 18, 99, 7, -1) + b"\x00what only the future knows"
    desk.wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
    (size,) = struct.unpack(">i", desk.wire.socket.recv(4))
    answer = desk.wire.socket.recv(size)
    assert struct.unpack(">i", answer[:4]) == (7,)
    listing = decode(ApiVersionsResponse, 0, answer[4:])
    assert listing.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert len(listing.api_keys) == len(HANDLERS)


@pytest.mark.parametrize(("key", "version"), [(999, 0), (1, 99), (0, 0), (24, 0)])
def test_anything_else_that_is_not_served_closes_the_connection(
    desk: ApiDesk, key: int, version: int
) -> None:
    frame = struct.pack(">hhih", key, version, 1, -1)
    desk.wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
    assert desk.wire.closed_by_peer()


@pytest.mark.parametrize(
    "frame", [b"\x00\x01\x00\x0b\x00\x00\x00\x01\x7f\xff", bytes(8), b"\x00\x03\x00\x09" + b"\xff" * 40]
)
def test_a_request_that_cannot_be_decoded_closes_the_connection(desk: ApiDesk, frame: bytes) -> None:
    desk.wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
    assert desk.wire.closed_by_peer()
