"""What Kafka promises beneath its clients, asked for frame by frame."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from trunkline.broker.protocol.batch import BatchHeader, split
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from trunkline.broker.protocol.messages.offsets import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetFetchRequest,
    OffsetFetchRequestTopic,
    OffsetFetchResponse,
)
from trunkline.broker.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from trunkline.broker.protocol.records import NewRecord, build
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.wire import FETCH_VERSION, PRODUCE_VERSION, WireClient, fetch_request

MakeTopic = Callable[..., str]

WAKE_UP_S = 0.05


@pytest.fixture
def client(broker: BrokerProcess) -> Iterator[WireClient]:
    """One connection."""
    with WireClient(broker.address) as connected:
        yield connected


def batch(value: bytes = b"x", *, producer: tuple[int, int] = (-1, -1), sequence: int = -1) -> bytearray:
    """A batch of one record."""
    return build(
        [NewRecord(b"k", value)], producer_id=producer[0], producer_epoch=producer[1], base_sequence=sequence
    )


def test_a_repeated_batch_is_acknowledged_where_it_was_and_not_appended(
    client: WireClient, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    producer = client.producer_id()
    first = client.produce(topic, batch(producer=producer, sequence=0))
    again = client.produce(topic, batch(producer=producer, sequence=0))
    following = client.produce(topic, batch(producer=producer, sequence=1))
    assert [answer.error_code for answer in (first, again, following)] == [0, 0, 0]
    assert [answer.base_offset for answer in (first, again, following)] == [0, 0, 1]
    assert client.fetch(topic, 0).high_watermark == 2


def test_a_gap_in_the_sequence_is_refused(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    producer = client.producer_id()
    client.produce(topic, batch(producer=producer, sequence=0))
    refused = client.produce(topic, batch(producer=producer, sequence=2))
    assert refused.error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert client.fetch(topic, 0).high_watermark == 1


def test_producer_ids_are_never_given_twice(client: WireClient) -> None:
    ids = {client.producer_id()[0] for _ in range(20)}
    assert len(ids) == 20


def test_a_batch_with_a_wrong_checksum_is_refused(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    damaged = batch(b"some value")
    damaged[-3] ^= 1
    assert client.produce(topic, damaged).error_code == ErrorCode.CORRUPT_MESSAGE
    assert client.fetch(topic, 0).high_watermark == 0


def test_a_batch_beyond_the_topics_limit_is_refused(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic(max_message_bytes="1000")
    assert client.produce(topic, batch(bytes(2_000))).error_code == ErrorCode.MESSAGE_TOO_LARGE


def test_an_unknown_topic_is_answered_with_its_error(client: WireClient) -> None:
    assert client.produce("test.no.topic", batch()).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert client.fetch("test.no.topic", 0).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("offset", [-5, 4, 1 << 60])
def test_an_offset_outside_the_log_is_out_of_range(
    client: WireClient, make_topic: MakeTopic, offset: int
) -> None:
    topic = make_topic()
    for _ in range(3):
        client.produce(topic, batch())
    assert client.fetch(topic, offset).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert client.fetch(topic, 3).error_code == ErrorCode.NONE


def test_a_fetch_at_the_end_waits_as_long_as_it_may(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    began = time.monotonic()
    answer = client.fetch(topic, 0, max_wait_ms=300)
    waited_s = time.monotonic() - began
    assert not answer.records
    assert 0.295 <= waited_s < 0.6


def test_a_waiting_fetch_wakes_when_a_record_arrives(
    broker: BrokerProcess, client: WireClient, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    lags_s = []
    with WireClient(broker.address) as reader:
        for offset in range(9):
            request = fetch_request(topic, offset, max_wait_ms=10_000)
            reader.send(request, FETCH_VERSION)
            client.produce(topic, batch())
            acknowledged = time.monotonic()
            reader.receive(request, FETCH_VERSION)
            lags_s.append(time.monotonic() - acknowledged)
    assert statistics.median(lags_s) < WAKE_UP_S


def test_a_fetch_honours_its_limits_but_always_makes_progress(
    client: WireClient, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    for _ in range(10):
        client.produce(topic, batch(bytes(10_000)))
    for limits in ({"max_bytes": 35_000}, {"partition_max_bytes": 35_000}):
        records = client.fetch(topic, 0, **limits).records
        assert records is not None
        assert 10_000 <= len(records) <= 35_000
    tiny = client.fetch(topic, 4, max_bytes=1, partition_max_bytes=1).records
    assert tiny is not None
    assert BatchHeader.parse(tiny).base_offset == 4


def test_offsets_are_assigned_in_order_to_many_writers(broker: BrokerProcess, make_topic: MakeTopic) -> None:
    topic = make_topic()
    offsets: list[int] = []

    def write() -> None:
        with WireClient(broker.address) as writer:
            offsets.extend(writer.produce(topic, batch()).base_offset for _ in range(50))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(20)
    assert sorted(offsets) == list(range(200))
    with WireClient(broker.address) as reader:
        records = reader.fetch(topic, 0).records
    assert records is not None
    assert [header.base_offset for header, _, _ in split(records)] == list(range(200))


def test_a_write_that_wants_no_answer_gets_none(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    data = TopicProduceData(name=topic, partition_data=[PartitionProduceData(index=0, records=batch())])
    client.send(ProduceRequest(acks=0, timeout_ms=1_000, topic_data=[data]), PRODUCE_VERSION, answered=False)
    assert client.fetch(topic, 0, max_wait_ms=5_000).high_watermark == 1


@pytest.mark.parametrize("version", [10, 11])
def test_a_version_that_cannot_ask_by_id_is_told_so(client: WireClient, version: int) -> None:
    nameless = MetadataRequestTopic(name=None, topic_id=bytes(range(16)))
    answer = client.ask(MetadataRequest(topics=[nameless]), version)
    assert isinstance(answer, MetadataResponse)
    assert [topic.error_code for topic in answer.topics] == [ErrorCode.INVALID_REQUEST]


def test_a_commit_is_seen_by_the_request_that_follows_it(client: WireClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    stale = []
    for offset in range(1, 50):
        position = OffsetCommitRequestPartition(
            partition_index=0, committed_offset=offset, committed_metadata=None
        )
        commit = OffsetCommitRequest(
            group_id=f"{topic}.group",
            member_id="",
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[position])],
        )
        fetch = OffsetFetchRequest(
            group_id=f"{topic}.group", topics=[OffsetFetchRequestTopic(name=topic, partition_indexes=[0])]
        )
        client.send(commit, 7)
        client.send(fetch, 7)
        client.receive(commit, 7)
        answer = client.receive(fetch, 7)
        assert isinstance(answer, OffsetFetchResponse)
        if answer.topics[0].partitions[0].committed_offset != offset:
            stale.append(offset)
    assert stale == []
