"""A follower gives its copy the whole topic, knows when that is all, and begins again where it has to."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from trunkline.client.broadcast.course import Assignment, Course, Sighting
from trunkline.client.config import ConnectionOptions
from trunkline.client.following import TopicFollower
from trunkline.client.log import Log
from trunkline.codec import Record
from trunkline.testing.consuming import eventually
from trunkline.testing.processes import BrokerProcess

TOPIC = "following.test.events"
CHECK_SECONDS = 0.1


class Values:
    """A copy: every value in the topic, by partition; `objections` are raised by the next reads."""

    def __init__(self) -> None:
        self.course = Course()
        self.values: list[bytes] = []
        self.objections: list[Exception] = []
        self.turns = self.starts = self.ends = 0

    def start_over(self) -> None:
        self.starts += 1
        self.course.restarted()

    def seen(self, sighting: Sighting) -> Assignment | None:
        assignment = self.course.seen(sighting)
        if assignment is not None and assignment.fresh:
            self.values = []
        return assignment

    def read(self, records: Sequence[Record], ends: Mapping[int, int]) -> None:
        if self.objections:
            raise self.objections.pop()
        self.values += [record.value or b"" for record in records]
        self.course.read(records, ends)

    def turned(self) -> None:
        self.turns += 1

    def ended(self) -> None:
        self.ends += 1

    @property
    def current_at(self) -> float:
        return self.course.current_at


@pytest.fixture
def broker(broker_factory: Callable[..., BrokerProcess]) -> BrokerProcess:
    process = broker_factory()
    create(process.address)
    return process


def create(address: str, partitions: int = 2) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(TOPIC, partitions, 1)])[TOPIC].result(10)


def send(address: str, *values: bytes, partition: int = 0) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address})
    for value in values:
        producer.produce(TOPIC, value, partition=partition)
    assert producer.flush(10) == 0


@contextmanager
def following(address: str, copy: Values) -> Iterator[TopicFollower]:
    follower = TopicFollower(
        ConnectionOptions(bootstrap_servers=address),
        TOPIC,
        copy,
        what="the values",
        check_seconds=CHECK_SECONDS,
        log=Log("test"),
    )
    follower.start()
    try:
        yield follower
    finally:
        follower.stop()


def current_after(copy: Values, moment: float) -> bool:
    return copy.current_at >= moment


def test_it_reads_all_partitions_from_their_beginning_and_knows_when_that_is_all(
    broker: BrokerProcess,
) -> None:
    send(broker.address, b"a", b"b")
    send(broker.address, b"c", partition=1)
    copy = Values()
    with following(broker.address, copy):
        now = time.monotonic()
        eventually(lambda: current_after(copy, now))
        assert sorted(copy.values) == [b"a", b"b", b"c"]
        send(broker.address, b"d")
        eventually(lambda: b"d" in copy.values)
    assert (copy.starts, copy.ends) == (1, 1)
    assert copy.turns > 0


def test_a_partition_that_is_added_is_read_without_reading_the_others_again(broker: BrokerProcess) -> None:
    send(broker.address, b"a")
    copy = Values()
    with following(broker.address, copy):
        eventually(lambda: copy.values == [b"a"])
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_partitions([NewPartitions(TOPIC, 3)])[TOPIC].result(10)
        send(broker.address, b"b", partition=2)
        eventually(lambda: copy.values == [b"a", b"b"])


def test_a_topic_that_was_created_anew_starts_everything_over(broker: BrokerProcess) -> None:
    send(broker.address, b"old")
    copy = Values()
    with following(broker.address, copy):
        eventually(lambda: copy.values == [b"old"])
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.delete_topics([TOPIC])[TOPIC].result(10)
        eventually(lambda: TOPIC not in admin.list_topics(timeout=10).topics)
        create(broker.address)
        send(broker.address, b"new")
        eventually(lambda: copy.values == [b"new"])


def test_what_a_copy_raises_makes_it_begin_again(broker: BrokerProcess) -> None:
    send(broker.address, b"a", b"b")
    copy = Values()
    copy.objections.append(ValueError("not today"))
    with following(broker.address, copy) as follower:
        eventually(lambda: copy.starts == 2 or "not today" in follower.why_behind)
        eventually(lambda: copy.values == [b"a", b"b"])
    assert copy.starts == 2


def test_it_says_what_keeps_it_behind_and_stops_without_a_cluster() -> None:
    copy = Values()
    with following("127.0.0.1:1", copy) as follower:
        eventually(lambda: "not everything" not in follower.why_behind)
        assert "127.0.0.1:1" in follower.why_behind
    assert copy.ends == 1


def test_it_stops_twice_and_without_a_start() -> None:
    follower = TopicFollower(
        ConnectionOptions(bootstrap_servers="127.0.0.1:1"),
        TOPIC,
        Values(),
        what="the values",
        check_seconds=CHECK_SECONDS,
        log=Log("test"),
    )
    follower.stop()
    follower.stop()
