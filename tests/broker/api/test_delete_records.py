"""The start of a log moves forward, durably, and what is before it is out of range."""

from collections.abc import Callable

import pytest

from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import FetchResponse
from trunkline.broker.protocol.messages.topics import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread
from trunkline.testing.wire import fetch_request


def delete(desk: ApiDesk, topic: str, offset: int, *, version: int = 2) -> DeleteRecordsPartitionResult:
    partition = DeleteRecordsPartition(partition_index=0, offset=offset)
    request = DeleteRecordsRequest(
        topics=[DeleteRecordsTopic(name=topic, partitions=[partition])], timeout_ms=1000
    )
    return desk.ask(request, version, DeleteRecordsResponse).topics[0].partitions[0]


@pytest.mark.parametrize("version", range(3))
def test_every_version_moves_the_start(desk: ApiDesk, version: int) -> None:
    topic = desk.topic()
    for _ in range(4):
        desk.produce(topic, b"x")
    assert delete(desk, topic, 3, version=version).low_watermark == 3
    gone = desk.ask(fetch_request(topic, 2), 11, FetchResponse).responses[0].partitions[0]
    assert (gone.error_code, gone.log_start_offset) == (ErrorCode.OFFSET_OUT_OF_RANGE, 3)
    assert [record.offset for record in desk.fetch(topic, 3)] == [3]


def test_minus_one_deletes_everything(desk: ApiDesk) -> None:
    topic = desk.topic()
    desk.produce(topic, b"a", b"b")
    assert delete(desk, topic, -1).low_watermark == 2


def test_what_does_not_exist_is_refused(desk: ApiDesk) -> None:
    topic = desk.topic()
    assert delete(desk, topic, 1).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert delete(desk, "nobody.knows.it", 0).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_deletion_that_could_not_be_made_durable_is_not_acknowledged(
    connect: Callable[[BrokerThread], ApiDesk],
) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        desk.produce(topic, b"a", b"b")
        fs.capacity_bytes = 0
        assert delete(desk, topic, 1).error_code == ErrorCode.KAFKA_STORAGE_ERROR
        fs.capacity_bytes = float("inf")
        assert delete(desk, topic, 1).low_watermark == 1
