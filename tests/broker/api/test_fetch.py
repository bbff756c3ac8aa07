"""Records come verbatim and only once durable; a poll ends as soon as there is enough, or in time."""

import threading
import time
from collections.abc import Callable

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import (
    FetchPartitionData,
    FetchRequest,
    FetchResponse,
    FetchTopic,
)
from trunkline.broker.protocol.messages.topics import (
    DeleteTopicsRequest,
    DeleteTopicsResponse,
)
from trunkline.broker.protocol.notation import ZERO_UUID
from trunkline.testing.api_desk import ApiDesk, batches
from trunkline.testing.inprocess import BrokerThread
from trunkline.testing.wire import fetch_request

Connect = Callable[[BrokerThread], ApiDesk]


def fetch(desk: ApiDesk, request: FetchRequest, version: int = 11) -> FetchPartitionData:
    return desk.ask(request, version, FetchResponse).responses[0].partitions[0]


@pytest.mark.parametrize("version", range(4, 13))
def test_every_version_by_name_reads(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    desk.produce(topic, b"one", b"two")
    data = fetch(desk, fetch_request(topic, 0), version)
    assert (data.error_code, data.high_watermark, data.last_stable_offset) == (0, 2, 2)
    assert [record.value for record in batches(data.records or b"")] == [b"one", b"two"]


@pytest.mark.parametrize("version", range(13, 19))
def test_newer_versions_name_topics_by_id(desk: ApiDesk, thread: BrokerThread, version: int) -> None:
    topic = desk.topic()
    desk.produce(topic, b"one")
    topic_id = thread.call(lambda: thread.broker.storage.topics[topic].id.bytes)
    request = fetch_request(topic, 0)
    partitions = request.topics[0].partitions
    request.topics[:] = [FetchTopic(topic_id=topic_id, partitions=partitions)]
    assert [record.value for record in batches(fetch(desk, request, version).records or b"")] == [b"one"]
    request.topics[:] = [FetchTopic(topic_id=ZERO_UUID[:-1] + b"\1", partitions=partitions)]
    assert fetch(desk, request, version).error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_a_fetch_of_nothing_is_answered_at_once(desk: ApiDesk) -> None:
    started = time.monotonic()
    answer = desk.ask(FetchRequest(max_wait_ms=10_000, min_bytes=1, topics=[]), 11, FetchResponse)
    assert answer.responses == []
    assert time.monotonic() - started < 5


def test_an_empty_poll_takes_its_time_and_no_more(desk: ApiDesk) -> None:
    started = time.monotonic()
    data = fetch(desk, fetch_request(desk.topic(), 0, max_wait_ms=200))
    assert 0.19 <= time.monotonic() - started < 5
    assert (data.error_code, data.records) == (0, b"")


def test_a_poll_ends_with_the_first_record(desk: ApiDesk, thread: BrokerThread, connect: Connect) -> None:
    topic = desk.topic()
    request = fetch_request(topic, 0, max_wait_ms=20_000)
    desk.wire.send(request, 11)
    connect(thread).produce(topic, b"news")
    answer = desk.wire.receive(request, 11)
    assert isinstance(answer, FetchResponse)
    assert [record.value for record in batches(answer.responses[0].partitions[0].records or b"")] == [b"news"]


def test_a_poll_waits_until_min_bytes_have_come(
    desk: ApiDesk, thread: BrokerThread, connect: Connect
) -> None:
    topic = desk.topic()
    request = fetch_request(topic, 0, max_wait_ms=20_000, min_bytes=1500)
    desk.wire.send(request, 11)
    other = connect(thread)
    for _ in range(3):
        other.produce(topic, bytes(600))
    answer = desk.wire.receive(request, 11)
    assert isinstance(answer, FetchResponse)
    assert len(batches(answer.responses[0].partitions[0].records or b"")) == 3


def test_an_answer_is_as_large_as_the_client_allows_but_never_empty(desk: ApiDesk) -> None:
    topic = desk.topic()
    for _ in range(5):
        desk.produce(topic, bytes(1000))
    assert len(batches(fetch(desk, fetch_request(topic, 0, max_bytes=2500)).records or b"")) == 2
    assert len(batches(fetch(desk, fetch_request(topic, 0, max_bytes=10)).records or b"")) == 1


def test_offsets_outside_the_log_are_refused(desk: ApiDesk) -> None:
    topic = desk.topic()
    desk.produce(topic, b"only")
    assert fetch(desk, fetch_request(topic, 2)).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert fetch(desk, fetch_request(topic, -1)).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert fetch(desk, fetch_request(topic, 1)).error_code == ErrorCode.NONE


def test_an_unknown_topic_or_partition_is_answered_at_once(desk: ApiDesk) -> None:
    for request in (
        fetch_request("nobody.knows.it", 0, max_wait_ms=20_000),
        fetch_request(desk.topic(), 0, partition=9, max_wait_ms=20_000),
    ):
        assert fetch(desk, request).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_another_leader_epoch_is_noticed(desk: ApiDesk) -> None:
    topic = desk.topic()
    assert fetch(desk, fetch_request(topic, 0, epoch=0)).error_code == ErrorCode.NONE
    assert fetch(desk, fetch_request(topic, 0, epoch=1)).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_sessions_are_declined(desk: ApiDesk) -> None:
    request = fetch_request(desk.topic(), 0)
    assert desk.ask(request, 11, FetchResponse).session_id == 0
    inside = FetchRequest(max_wait_ms=0, min_bytes=1, session_id=5, session_epoch=1, topics=[])
    assert desk.ask(inside, 11, FetchResponse).error_code == ErrorCode.FETCH_SESSION_ID_NOT_FOUND


def test_a_poll_of_a_topic_that_is_deleted_ends(
    desk: ApiDesk, thread: BrokerThread, connect: Connect
) -> None:
    topic = desk.topic()
    request = fetch_request(topic, 0, max_wait_ms=20_000)
    desk.wire.send(request, 11)
    until_somebody_waits(thread)
    connect(thread).ask(DeleteTopicsRequest(topic_names=[topic], timeout_ms=1000), 1, DeleteTopicsResponse)
    answer = desk.wire.receive(request, 11)
    assert isinstance(answer, FetchResponse)
    assert answer.responses[0].partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_reader_that_hangs_up_leaves_no_wait_behind(thread: BrokerThread, connect: Connect) -> None:
    desk = connect(thread)
    desk.wire.send(fetch_request(desk.topic(), 0, max_wait_ms=20_000), 11)
    until_somebody_waits(thread)
    desk.wire.close()
    until(lambda: thread.call(lambda: len(thread.broker.waiters)) == 0)


def test_a_stop_answers_polls(connect: Connect) -> None:
    with BrokerThread() as broker:
        desk = connect(broker)
        request = fetch_request(desk.topic(), 0, max_wait_ms=20_000)
        desk.wire.send(request, 11)
        until_somebody_waits(broker)
        stopping = threading.Thread(target=broker.stop)
        stopping.start()
        assert isinstance(desk.wire.receive(request, 11), FetchResponse)
        stopping.join()


def until_somebody_waits(thread: BrokerThread) -> None:
    until(lambda: thread.call(lambda: len(thread.broker.waiters)) > 0)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)
