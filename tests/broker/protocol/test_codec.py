import contextlib
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.broker.protocol.codec import MalformedMessage, decode, encode, encode_bytes
from trunkline.broker.protocol.messages.fetch import (
    FetchableTopicResponse,
    FetchPartition,
    FetchPartitionData,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from trunkline.broker.protocol.messages.metadata import MetadataRequest, MetadataResponse
from trunkline.broker.protocol.messages.produce import PartitionProduceData, ProduceRequest, TopicProduceData
from trunkline.broker.protocol.messages.topics import DeleteTopicsResponse
from trunkline.broker.protocol.messages.versions import ApiVersionsRequest, ApiVersionsResponse
from trunkline.broker.protocol.notation import Message
from trunkline.broker.protocol.primitives import ELEMENTS_MAX, write_uvarint
from trunkline.broker.protocol.registry import API, ApiDeclaration

MakeMessage = Callable[[type[Message], int, Random], Message]

MESSAGES = [
    (cls, version)
    for declaration in API.values()
    for version in range(declaration.first_version, declaration.last_version + 1)
    for cls in (declaration.request, declaration.response)
]
ENDS = [
    pytest.param(cls, version, id=f"{cls.__name__}-v{version}")
    for declaration in API.values()
    for version in sorted({declaration.first_version, declaration.last_version})
    for cls in (declaration.request, declaration.response)
]


def produce(records: bytes) -> ProduceRequest:
    partition = PartitionProduceData(index=3, records=records)
    return ProduceRequest(
        acks=-1, timeout_ms=1000, topic_data=[TopicProduceData(name="a.b.c", partition_data=[partition])]
    )


@settings(max_examples=200)
@given(st.sampled_from(MESSAGES), st.randoms(use_true_random=False))
def test_decoding_what_was_encoded_gives_the_same_message(
    make_message: MakeMessage, which: tuple[type[Message], int], random: Random
) -> None:
    cls, version = which
    message = make_message(cls, version, random)
    for buffer in (encode_bytes(message, version), bytearray(encode_bytes(message, version))):
        assert decode(cls, version, buffer) == message
        assert decode(cls, version, memoryview(buffer)) == message


@pytest.mark.parametrize(("cls", "version"), ENDS)
def test_every_prefix_of_a_message_is_malformed(
    make_message: MakeMessage, cls: type[Message], version: int
) -> None:
    whole = encode_bytes(make_message(cls, version, Random(1)), version)
    step = max(1, len(whole) // 500)
    for size in {*range(min(len(whole), 200)), *range(0, len(whole), step)}:
        with pytest.raises(MalformedMessage):
            decode(cls, version, whole[:size])


@pytest.mark.parametrize(("cls", "version"), ENDS)
def test_flipped_bytes_give_another_message_or_a_malformed_one(
    make_message: MakeMessage, cls: type[Message], version: int
) -> None:
    random = Random(2)
    whole = encode_bytes(make_message(cls, version, random), version)
    for _ in range(100):
        broken = bytearray(whole)
        for _ in range(random.choice((1, 1, 4))):
            if broken:
                broken[random.randrange(min(len(broken), 400))] = random.choice((0, 0x7F, 0x80, 0xFF))
        decode_or_refuse(cls, version, bytes(broken))


@settings(max_examples=300)
@given(st.sampled_from(MESSAGES), st.binary(max_size=200))
def test_random_bytes_never_raise_anything_but_malformed_message(
    which: tuple[type[Message], int], buffer: bytes
) -> None:
    decode_or_refuse(*which, buffer)


def decode_or_refuse(cls: type[Message], version: int, buffer: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        decode(cls, version, buffer)


@pytest.mark.parametrize("count", [b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xfe"])
def test_an_array_count_beyond_the_message_is_refused_before_anything_is_allocated(count: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode(MetadataRequest, 1, count)


@pytest.mark.parametrize(
    ("cls", "version", "before"),
    [(MetadataRequest, 9, b"\x00\x00\x00"), (FetchResponse, 16, bytes(10) + b"\x01")],
    ids=["unknown tags", "known tags"],
)
def test_more_tagged_fields_than_anyone_sends_are_refused_before_they_are_read(
    cls: type[Message], version: int, before: bytes
) -> None:
    with pytest.raises(MalformedMessage, match="more than 64 tagged fields"):
        decode(cls, version, before + write_uvarint(65) + b"\x7f\x00" * 65)
    with pytest.raises(MalformedMessage, match="more than 64 tagged fields"):
        decode(cls, version, before + b"\xff\xff\xff\xff\x0f")


def test_more_array_elements_than_anyone_sends_are_refused_however_they_are_nested() -> None:
    def request(topics: int, partitions: int) -> FetchRequest:
        wanted = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1)
        topic = FetchTopic(topic="t", partitions=[wanted] * partitions)
        return FetchRequest(max_wait_ms=1, min_bytes=1, topics=[topic] * topics)

    inside = encode_bytes(request(100, ELEMENTS_MAX // 100 - 1), 12)
    assert len(decode(FetchRequest, 12, inside).topics) == 100
    with pytest.raises(MalformedMessage, match="more than 200000 array elements"):
        decode(FetchRequest, 12, encode_bytes(request(100, ELEMENTS_MAX // 100), 12))


def test_null_is_refused_where_the_version_demands_a_value() -> None:
    with pytest.raises(MalformedMessage, match=r"MetadataRequest\.topics is null"):
        decode(MetadataRequest, 0, b"\xff\xff\xff\xff")
    assert decode(MetadataRequest, 1, b"\xff\xff\xff\xff").topics is None


def test_bytes_after_the_message_are_ignored() -> None:
    """What librdkafka 2.16 sends to ask for all topics: its null array is three bytes too long."""
    request = decode(MetadataRequest, 13, b"\x00\x00\x00\x00\x01\x00\x00")
    assert request.topics is None
    assert decode(ApiVersionsRequest, 0, b"ab") == ApiVersionsRequest()


def test_a_string_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="not UTF-8"):
        decode(ApiVersionsRequest, 3, b"\x03\xff\xfe\x01\x00")


def test_unknown_tagged_fields_are_skipped() -> None:
    # An empty software name and version, then one tagged field with the number 77 and three bytes.
    request = decode(ApiVersionsRequest, 3, b"\x01\x01" + b"\x01\x4d\x03abc")
    assert request == ApiVersionsRequest(client_software_name="", client_software_version="")


def test_a_known_tagged_field_of_another_size_is_refused() -> None:
    whole = bytearray(
        encode_bytes(ApiVersionsResponse(error_code=0, api_keys=[], finalized_features_epoch=5), 3)
    )
    at = whole.index(b"\x01\x08")
    whole[at + 1] = 9
    with pytest.raises(MalformedMessage, match="finalized_features_epoch"):
        decode(ApiVersionsResponse, 3, bytes(whole) + b"\x00")


def test_records_are_neither_copied_on_the_way_in_nor_on_the_way_out() -> None:
    records = b"r" * 100_000
    chunks = encode(produce(records), 10)
    assert any(chunk is records for chunk in chunks)

    buffer = bytearray(b"".join(chunks))
    request = decode(ProduceRequest, 10, buffer)
    out = request.topic_data[0].partition_data[0].records
    assert isinstance(out, memoryview)
    assert out.obj is buffer
    assert out == records


def test_the_head_stands_before_the_message_in_the_first_chunk() -> None:
    partition = FetchPartitionData(partition_index=0, error_code=0, high_watermark=1, records=b"batch")
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    chunks = encode(response, 4, head=b"head")
    assert isinstance(chunks[0], bytearray)
    assert b"".join(chunks) == b"head" + encode_bytes(response, 4)
    assert chunks[1] == b"batch"


def test_fields_outside_the_version_are_left_out_and_come_back_as_their_default() -> None:
    request = FetchRequest(max_wait_ms=1, min_bytes=1, topics=[], rack_id="r", session_id=9)
    old = decode(FetchRequest, 4, encode_bytes(request, 4))
    assert (old.rack_id, old.session_id) == ("", 0)
    assert decode(FetchRequest, 12, encode_bytes(request, 12)) == request


def test_a_default_array_belongs_to_one_message_only() -> None:
    first = decode(DeleteTopicsResponse, 1, encode_bytes(DeleteTopicsResponse(responses=[]), 1))
    second = decode(DeleteTopicsResponse, 1, encode_bytes(DeleteTopicsResponse(responses=[]), 1))
    assert first.responses is not second.responses


@pytest.mark.parametrize("declaration", API.values(), ids=lambda declaration: declaration.name)
def test_a_version_that_is_not_declared_is_a_programmers_error(declaration: ApiDeclaration) -> None:
    for version in (declaration.first_version - 1, declaration.last_version + 1):
        with pytest.raises(ValueError, match="has versions"):
            decode(declaration.request, version, b"")


def test_a_metadata_response_of_an_old_version_refuses_a_null_name_when_written() -> None:
    from trunkline.broker.protocol.messages.metadata import MetadataResponseTopic

    topic = MetadataResponseTopic(error_code=3, name=None, partitions=[])
    assert encode(MetadataResponse(brokers=[], topics=[topic]), 12)
    with pytest.raises(AttributeError):
        encode(MetadataResponse(brokers=[], topics=[topic]), 11)
