"""kill -9 at random moments: what was acknowledged is there, once, and in order."""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it re-exports silently

from trunkline.testing.processes import BrokerProcess

TOPIC = "test.kill.events"
PARTITIONS = 3


class Writer(threading.Thread):
    """An idempotent producer that writes numbers for a few tenants and remembers which were acknowledged."""

    def __init__(self, address: str) -> None:
        super().__init__(name="writer")
        self.acknowledged: list[int] = []
        self.failed: list[KafkaError] = []
        self.stopping = threading.Event()
        self.sent = 0
        self._producer = Producer(
            {
                "bootstrap.servers": address,
                "enable.idempotence": True,
                "acks": "all",
                "max.in.flight": 1,
                "compression.type": "snappy",
                "reconnect.backoff.max.ms": 200,
                "retry.backoff.max.ms": 200,
                "linger.ms": 1,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        for number in itertools.count():
            if self.stopping.is_set():
                break
            self._producer.produce(
                TOPIC, key=str(number % 11), value=str(number), on_delivery=self._delivered
            )
            self.sent = number + 1
            self._producer.poll(0.001)
        assert self._producer.flush(60) == 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged.append(int(message.value() or b""))
        else:
            self.failed.append(error)


def read_all(address: str) -> list[Message]:
    """Every record of the topic."""
    reader = Consumer(
        {"bootstrap.servers": address, "group.id": "audit", "enable.auto.commit": False, "log_level": 0}
    )
    ends = {
        number: reader.get_watermark_offsets(TopicPartition(TOPIC, number), 20)
        for number in range(PARTITIONS)
    }
    reader.assign([TopicPartition(TOPIC, number, 0) for number in range(PARTITIONS)])
    messages: list[Message] = []
    deadline = time.monotonic() + 30
    while len(messages) < sum(high for _, high in ends.values()):
        assert time.monotonic() < deadline, f"{len(messages)} of {ends}"
        messages += [message for message in reader.consume(500, 0.2) if message.error() is None]
    reader.close()
    return messages


def kill_while_writing(data_dir: Path, *, kills: int, seed: int) -> None:
    """Kill and restart the broker under a writer; then compare."""
    random = Random(seed)
    with BrokerProcess(data_dir) as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)])[TOPIC].result(
            20
        )
        writer = Writer(broker.address)
        writer.start()
        for _ in range(kills):
            seen = len(writer.acknowledged)
            deadline = time.monotonic() + 20
            while len(writer.acknowledged) < seen + random.randrange(1, 120):
                assert time.monotonic() < deadline, "the writer gets nothing through"
                time.sleep(0.001)
            broker.kill()
            broker.restart()
        writer.stopping.set()
        writer.join(60)
        messages = read_all(broker.address)
    assert writer.failed == []
    values = [int(message.value() or b"") for message in messages]
    assert sorted(values) == list(range(writer.sent))
    assert sorted(writer.acknowledged) == list(range(writer.sent))
    for partition in range(PARTITIONS):
        mine = [int(message.value() or b"") for message in messages if message.partition() == partition]
        assert mine == sorted(mine)


def test_three_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_while_writing(tmp_path / "data", kills=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_kills_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    kill_while_writing(tmp_path / "data", kills=12, seed=seed)


def test_committed_offsets_and_memberships_survive_a_kill(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path / "data") as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)])[TOPIC].result(
            20
        )
        member = Consumer(
            {
                "bootstrap.servers": broker.address,
                "group.id": "audit",
                "enable.auto.commit": False,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )
        changes: list[str] = []
        member.subscribe(
            [TOPIC],
            on_assign=lambda _member, _parts: changes.append("assigned"),
            on_revoke=lambda _member, _parts: changes.append("revoked"),
            on_lost=lambda _member, _parts: changes.append("lost"),
        )
        deadline = time.monotonic() + 20
        while not changes:
            assert time.monotonic() < deadline
            member.poll(0.05)
        committed = 0
        for offset in range(1, 6):
            member.commit(offsets=[TopicPartition(TOPIC, 0, offset)], asynchronous=False)
            broker.kill()
            broker.restart()
            committed = _commit_again(member, offset)
        assert changes == ["assigned"], "the restart made the group rebalance"
        assert committed == 5
        member.close()


def _commit_again(member: Consumer, offset: int) -> int:
    """Ask for the committed offset until the client has found the broker again."""
    deadline = time.monotonic() + 20
    while True:
        member.poll(0.05)
        try:
            found = member.committed([TopicPartition(TOPIC, 0)], 2)[0].offset
        except KafkaException:
            assert time.monotonic() < deadline
            continue
        assert found == offset
        return found


class Worker(threading.Thread):
    """A member of a group that remembers what it has read and commits after every few records."""

    def __init__(self, address: str, read: list[tuple[int, int]]) -> None:
        super().__init__(name="worker")
        self.stopping = threading.Event()
        self._read = read
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "audit",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "partition.assignment.strategy": "cooperative-sticky",
                "heartbeat.interval.ms": 200,
                "session.timeout.ms": 6000,
                "reconnect.backoff.max.ms": 200,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        self._consumer.subscribe([TOPIC])
        while not self.stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is None or message.error() is not None:
                continue
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            self._read.append((partition, offset))
            with contextlib.suppress(KafkaException):
                # Refused while the group rebalances or the broker is down: the records are read again.
                self._consumer.commit(
                    offsets=[TopicPartition(TOPIC, partition, offset + 1)], asynchronous=False
                )
        self._consumer.close()


@pytest.mark.slow
def test_a_group_reads_everything_while_broker_and_members_come_and_go(tmp_path: Path) -> None:
    random = Random(7)
    read: list[tuple[int, int]] = []
    with BrokerProcess(tmp_path / "data") as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic(TOPIC, num_partitions=PARTITIONS, replication_factor=1)])[TOPIC].result(
            20
        )
        writer = Writer(broker.address)
        workers = [Worker(broker.address, read) for _ in range(3)]
        for thread in (writer, *workers):
            thread.start()
        for _ in range(6):
            wait_for_length(read, len(read) + random.randrange(50, 300))
            if random.random() < 0.5:
                broker.kill()
                broker.restart()
            else:
                workers[0].stopping.set()
                workers[0].join(30)
                workers = [*workers[1:], Worker(broker.address, read)]
                workers[-1].start()
        writer.stopping.set()
        writer.join(60)
        watcher = Consumer({"bootstrap.servers": broker.address, "group.id": "audit", "log_level": 0})
        parts = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        ends = {part.partition: watcher.get_watermark_offsets(part, 20)[1] for part in parts}
        wait_for(
            lambda: {part.partition: max(part.offset, 0) for part in watcher.committed(parts, 20)} == ends
        )
        watcher.close()
        for worker in workers:
            worker.stopping.set()
            worker.join(30)
    assert set(read) == {(partition, offset) for partition, end in ends.items() for offset in range(end)}
    assert len(read) < 1.2 * len(set(read)), "far more was read again than was in flight"


def wait_for_length(growing: list[tuple[int, int]], length: int) -> None:
    """Wait until that many are there."""
    wait_for(lambda: len(growing) >= length)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds that other threads and processes bring about."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)
