"""The ends of a log, and offsets by time."""

import pytest

from trunkline.broker.protocol.errors import ErrorCode
from trunkline.broker.protocol.messages.fetch import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
)
from trunkline.broker.protocol.records import NewRecord, build
from trunkline.testing.api_desk import ApiDesk

LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3


def ask(
    desk: ApiDesk, topic: str, timestamp: int, *, version: int = 7, epoch: int = -1
) -> ListOffsetsPartitionResponse:
    partition = ListOffsetsPartition(partition_index=0, timestamp=timestamp, current_leader_epoch=epoch)
    request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=topic, partitions=[partition])])
    return desk.ask(request, version, ListOffsetsResponse).topics[0].partitions[0]


@pytest.fixture
def topic(desk: ApiDesk) -> str:
    """Five records, a second apart, the third one the latest."""
    name = desk.topic()
    for number, timestamp in enumerate((1000, 2000, 9000, 4000, 5000)):
        desk.produce(name, batch=build([NewRecord(None, b"%d" % number)], timestamp=timestamp))
    return name


@pytest.mark.parametrize("version", range(1, 12))
def test_every_version_knows_both_ends(desk: ApiDesk, topic: str, version: int) -> None:
    assert ask(desk, topic, LATEST, version=version).offset == 5
    assert ask(desk, topic, EARLIEST, version=version).offset == 0


@pytest.mark.parametrize(
    ("timestamp", "offset"), [(0, 0), (1000, 0), (1001, 1), (4500, 2), (9000, 2), (9001, -1)]
)
def test_a_time_finds_the_first_record_at_or_after_it(
    desk: ApiDesk, topic: str, timestamp: int, offset: int
) -> None:
    assert ask(desk, topic, timestamp).offset == offset


def test_the_greatest_timestamp_is_found(desk: ApiDesk, topic: str) -> None:
    found = ask(desk, topic, MAX_TIMESTAMP)
    assert (found.offset, found.timestamp) == (2, 9000)


@pytest.mark.parametrize("timestamp", [-5, -6])
def test_nothing_is_in_tiered_storage(desk: ApiDesk, topic: str, timestamp: int) -> None:
    found = ask(desk, topic, timestamp, version=11)
    assert (found.error_code, found.offset) == (ErrorCode.NONE, -1)


def test_what_cannot_be_asked_is_refused(desk: ApiDesk, topic: str) -> None:
    assert ask(desk, topic, -7).error_code == ErrorCode.INVALID_REQUEST
    assert ask(desk, topic, LATEST, epoch=3).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert ask(desk, "nobody.knows.it", LATEST).error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
