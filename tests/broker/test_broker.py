"""A broker's state over its life: retention, deleted files, restarts."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from trunkline.broker.log.fs import FsError
from trunkline.broker.log.memory_fs import MemoryFs
from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import FetchResponse
from trunkline.broker.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
)
from trunkline.testing.api_desk import ApiDesk
from trunkline.testing.inprocess import BrokerThread
from trunkline.testing.wire import fetch_request

Connect = Callable[[BrokerThread], ApiDesk]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as opened:
        yield lambda broker: opened.enter_context(closing(ApiDesk(broker.address)))


def test_records_beyond_their_retention_are_dropped(connect: Connect) -> None:
    with BrokerThread() as broker:
        desk = connect(broker)
        short, long = desk.topic(retention_ms="1000"), desk.topic(retention_ms="-1")
        for topic in (short, long):
            desk.produce(topic, b"of 1970")
        broker.call(broker.broker.housekeep)
        gone = desk.ask(fetch_request(short, 0), 11, FetchResponse).responses[0].partitions[0]
        assert (gone.error_code, gone.log_start_offset) == (ErrorCode.OFFSET_OUT_OF_RANGE, 1)
        assert [record.value for record in desk.fetch(long)] == [b"of 1970"]
        assert desk.produce(short, b"goes on").base_offset == 1


def test_the_files_of_a_deleted_topic_go(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        topic = connect(broker).topic(partitions=3)
        assert fs.listdir(Path("/data/topics"))
        broker.call(lambda: broker.broker.delete_topic(topic))
        deadline = time.monotonic() + 10
        while fs.listdir(Path("/data/topics")):
            assert time.monotonic() < deadline, fs.listdir(Path("/data/topics"))
            time.sleep(0.001)


def test_a_restart_keeps_identity_topics_and_settings(connect: Connect) -> None:
    fs = MemoryFs()
    with BrokerThread(fs) as broker:
        topic = connect(broker).topic(partitions=2, retention_ms="60000")
        before = broker.call(lambda: broker.broker.storage.topics[topic])
        cluster_id = broker.broker.cluster_id
    with BrokerThread(fs) as broker:
        after = broker.call(lambda: broker.broker.storage.topics[topic])
        assert broker.broker.cluster_id == cluster_id
        assert (after.id, dict(after.configs), len(after.partitions)) == (before.id, dict(before.configs), 2)
        assert broker.broker.findings == []


def test_a_topic_is_deleted_although_the_disk_fails_half_way(connect: Connect) -> None:
    class StuckFs(MemoryFs):
        stuck = False

        def rename(self, source: Path, target: Path) -> None:
            if self.stuck and source.name.endswith("-0"):
                raise FsError("rename", source, "Input/output error")
            super().rename(source, target)

    fs = StuckFs()
    with BrokerThread(fs) as broker:
        desk = connect(broker)
        topic = desk.topic()
        desk.produce(topic, b"old")
        fs.stuck = True
        broker.call(lambda: broker.broker.delete_topic(topic))
        metadata = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
        (gone,) = desk.ask(metadata, 9, MetadataResponse).topics
        assert gone.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        fs.stuck = False
        broker.call(lambda: broker.broker.create_topic(topic, partitions=1, configs={}))
        assert desk.fetch(topic) == []
