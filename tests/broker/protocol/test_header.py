from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_writer

from trunkline.broker.protocol.codec import MalformedMessage, decode, encode_bytes
from trunkline.broker.protocol.header import (
    RequestHeader,
    encode_request_header,
    encode_response,
    encode_response_header,
    parse_request_header,
)
from trunkline.broker.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartitionData,
    FetchResponse,
)
from trunkline.broker.protocol.messages.groups import HeartbeatResponse
from trunkline.broker.protocol.registry import API, ApiDeclaration

APIS = pytest.mark.parametrize("declaration", API.values(), ids=lambda declaration: declaration.name)


@APIS
def test_request_headers_are_those_of_the_published_protocol(declaration: ApiDeclaration) -> None:
    for version in range(declaration.first_version, declaration.last_version + 1):
        schema: Any = load_request_schema(declaration.key, version).__header_schema__
        header = schema(
            request_api_key=declaration.key, request_api_version=version, correlation_id=7, client_id="me"
        )
        written = BytesIO()
        entity_writer(schema)(written, header)
        ours = encode_request_header(declaration.key, version, correlation_id=7, client_id="me")
        assert ours == written.getvalue()
        expected = RequestHeader(declaration.key, version, 7, "me", len(ours))
        assert parse_request_header(ours + b"body") == expected


@APIS
def test_response_headers_are_those_of_the_published_protocol(declaration: ApiDeclaration) -> None:
    for version in range(declaration.first_version, declaration.last_version + 1):
        schema: Any = load_response_schema(declaration.key, version).__header_schema__
        written = BytesIO()
        entity_writer(schema)(written, schema(correlation_id=-9))
        assert encode_response_header(declaration.key, version, correlation_id=-9) == written.getvalue()


def test_api_versions_always_answers_with_the_plain_header() -> None:
    assert encode_response_header(18, 4, correlation_id=1) == b"\0\0\0\1"


@pytest.mark.parametrize(("api_key", "version"), [(999, 0), (18, 99), (0, 2), (3, -1)])
def test_an_unknown_api_or_version_still_gives_the_correlation_id(api_key: int, version: int) -> None:
    frame = b"".join(
        (
            api_key.to_bytes(2, "big"),
            version.to_bytes(2, "big", signed=True),
            b"\0\0\0\5",
            b"\0\1a",
            b"\xff\xff",
        )
    )
    assert parse_request_header(frame) == RequestHeader(api_key, version, 5, "a", 11)


def test_a_client_need_not_say_who_it_is() -> None:
    frame = encode_request_header(12, 4, correlation_id=1)
    assert parse_request_header(frame).client_id is None


@given(st.binary(max_size=40))
def test_a_header_is_parsed_or_malformed(frame: bytes) -> None:
    try:
        header = parse_request_header(frame)
    except MalformedMessage:
        return
    assert header.body_offset <= len(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\0\3\0\0\0\0\0\1",
        b"\0\3\0\0\0\0\0\1\0\5ab",
        b"\0\3\0\0\0\0\0\1\xff\xfe",
        b"\0\3\0\0\0\0\0\1\0\1\xff",
    ],
)
def test_a_cut_or_broken_header_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_request_header(frame)


def test_a_response_frame_says_its_size_and_carries_its_header() -> None:
    frame = b"".join(encode_response(HeartbeatResponse(error_code=27), 4, correlation_id=3))
    assert frame == b"\0\0\0\x0c" + b"\0\0\0\3\0" + encode_bytes(HeartbeatResponse(error_code=27), 4)


def test_the_size_of_a_response_counts_its_records() -> None:
    records = b"b" * 1000
    partition = FetchPartitionData(partition_index=0, error_code=0, high_watermark=1, records=records)
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    chunks = encode_response(response, 11, correlation_id=3)
    frame = b"".join(chunks)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert any(chunk is records for chunk in chunks)
    assert decode(FetchResponse, 11, frame[8:]) == response
