"""Records are acknowledged when they are durable, and refused with the protocol's code."""

import copy
import struct
from collections.abc import Callable

import pytest

from trunkline.broker.log.errors import LogStopped
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.codec import encode_bytes
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.produce import ProduceResponse, TopicProduceData
from trunkline.broker.protocol.notation import ZERO_UUID
from trunkline.broker.protocol.records import NewRecord, build
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread
from trunkline.testing.wire import fetch_request, produce_request

Connect = Callable[[BrokerThread], ApiDesk]


def test_an_acknowledgement_says_where_the_records_went(desk: ApiDesk) -> None:
    topic = desk.topic()
    assert desk.produce(topic, b"a", b"b").base_offset == 0
    second = desk.produce(topic, b"c")
    assert (second.error_code, second.base_offset, second.log_start_offset) == (0, 2, 0)
    assert [record.value for record in desk.fetch(topic)] == [b"a", b"b", b"c"]


def test_an_acknowledged_record_survives_the_loss_of_power(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        desk.produce(topic, b"kept")
        after_power_loss = copy.deepcopy(fs)
    after_power_loss.crash()
    with BrokerThread(after_power_loss) as broker:
        assert [record.value for record in connect(broker).fetch(topic)] == [b"kept"]


@pytest.mark.parametrize("version", range(3, 13))
def test_every_version_by_name_appends(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    answer = desk.produce(topic, b"value", version=version)
    assert (answer.error_code, answer.base_offset) == (0, 0)


def test_version_13_names_topics_by_id(desk: ApiDesk, thread: BrokerThread) -> None:
    topic = desk.topic()
    request = produce_request(topic, build([NewRecord(None, b"by id")]))
    data = request.topic_data[0].partition_data
    for topic_id, error in (
        (thread.call(lambda: thread.broker.storage.topics[topic].id.bytes), ErrorCode.NONE),
        (ZERO_UUID, ErrorCode.UNKNOWN_TOPIC_ID),
    ):
        request.topic_data[:] = [TopicProduceData(topic_id=topic_id, partition_data=data)]
        answer = desk.ask(request, 13, ProduceResponse).responses[0]
        assert answer.topic_id == topic_id
        assert answer.partition_responses[0].error_code == error


def test_an_unknown_topic_or_partition_is_refused(desk: ApiDesk) -> None:
    assert desk.produce("nobody.knows.it", b"x").error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert desk.produce(desk.topic(), b"x", partition=1).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_batch_with_a_wrong_checksum_is_refused(desk: ApiDesk) -> None:
    batch = build([NewRecord(None, b"value")])
    batch[-1] ^= 1
    topic = desk.topic()
    assert desk.produce(topic, batch=batch).error_code == ErrorCode.CORRUPT_MESSAGE
    assert desk.fetch(topic) == []


def test_a_request_without_records_is_refused(desk: ApiDesk) -> None:
    assert desk.produce(desk.topic(), batch=b"").error_code == ErrorCode.INVALID_RECORD


def test_a_batch_above_the_topics_limit_is_refused(desk: ApiDesk) -> None:
    topic = desk.topic(max_message_bytes="1000")
    assert desk.produce(topic, bytes(2000)).error_code == ErrorCode.MESSAGE_TOO_LARGE
    assert desk.produce(topic, bytes(500)).error_code == ErrorCode.NONE


def test_a_repeated_batch_of_an_idempotent_producer_is_not_appended_again(desk: ApiDesk) -> None:
    topic = desk.topic()

    def batch(sequence: int) -> bytearray:
        return build([NewRecord(None, b"v")], producer_id=7, producer_epoch=0, base_sequence=sequence)

    assert desk.produce(topic, batch=batch(0)).base_offset == 0
    assert desk.produce(topic, batch=batch(1)).base_offset == 1
    assert desk.produce(topic, batch=batch(0)).base_offset == 0
    assert desk.produce(topic, batch=batch(5)).error_code == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert len(desk.fetch(topic)) == 2


@pytest.mark.parametrize("acks", [2, -2])
def test_impossible_acks_are_refused(desk: ApiDesk, acks: int) -> None:
    assert desk.produce(desk.topic(), b"x", acks=acks).error_code == ErrorCode.INVALID_REQUIRED_ACKS


def test_acks_0_appends_and_is_not_answered(desk: ApiDesk) -> None:
    topic = desk.topic()
    desk.wire.send(produce_request(topic, build([NewRecord(None, b"quiet")]), acks=0), 9, answered=False)
    answer = desk.produce(topic, b"loud")
    assert answer.base_offset == 1


def test_acks_0_to_nowhere_loses_its_connection(desk: ApiDesk) -> None:
    desk.wire.send(produce_request("nobody.knows.it", build([NewRecord(None, b"x")]), acks=0), 9)
    assert desk.wire.closed_by_peer()


def test_a_transactional_producer_is_refused(desk: ApiDesk) -> None:
    request = produce_request(desk.topic(), build([NewRecord(None, b"x")]))
    transactional = type(request)(
        transactional_id="t", acks=-1, timeout_ms=1000, topic_data=request.topic_data
    )
    answer = desk.ask(transactional, 9, ProduceResponse).responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_versions_that_are_only_listed_close_the_connection(desk: ApiDesk) -> None:
    body = encode_bytes(produce_request("t", b""), 3)
    frame = struct.pack(">hhih", 0, 2, 1, -1) + body
    desk.wire.socket.sendall(struct.pack(">i", len(frame)) + frame)
    assert desk.wire.closed_by_peer()


def test_a_full_disk_refuses_records_until_there_is_room_again(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        desk.produce(topic, b"before")
        fs.capacity_bytes = fs.used_bytes() + 10
        for _ in range(5):
            refused = desk.produce(topic, bytes(1000))
            assert refused.error_code == ErrorCode.KAFKA_STORAGE_ERROR
            assert refused.error_message is not None
            assert "/data" not in refused.error_message
        assert [record.value for record in desk.fetch(topic)] == [b"before"]
        fs.capacity_bytes = float("inf")
        assert desk.produce(topic, b"after").base_offset == 1
        assert desk.produce(topic, b"and on").base_offset == 2
    full, room = (record.getMessage() for record in caplog.records if record.name == "trunkline.broker")
    assert full.startswith(f"records were refused: cannot append to /data/topics/{topic}-0/")
    assert "there is room on the disk again" in room


def test_a_failing_device_stops_its_partition_and_says_so(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic, healthy = desk.topic(), desk.topic()
        fs.fail_sync = True
        lost = desk.produce(topic, b"lost")
        assert lost.error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert lost.error_message == LogStopped.told
        fs.fail_sync = False
        assert desk.produce(topic, b"later").error_code == ErrorCode.KAFKA_STORAGE_ERROR
        assert desk.fetch(topic) == []
        assert desk.produce(healthy, b"fine").error_code == ErrorCode.NONE


def test_an_answer_waits_its_turn_but_requests_do_not(desk: ApiDesk) -> None:
    topic = desk.topic()
    requests = [produce_request(topic, build([NewRecord(None, b"%d" % number)])) for number in range(20)]
    for request in requests:
        desk.wire.send(request, 9)
    fetch = fetch_request(topic, 0)
    desk.wire.send(fetch, 11)
    for number, request in enumerate(requests):
        answer = desk.wire.receive(request, 9)
        assert isinstance(answer, ProduceResponse)
        assert answer.responses[0].partition_responses[0].base_offset == number
    desk.wire.receive(fetch, 11)
    assert len(desk.fetch(topic)) == 20
