"""kill -9 at random moments: what was acknowledged is there, once, and in order."""

import itertools
import threading
import time
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
            self._producer.produce(TOPIC, key=str(number % 5), value=str(number), on_delivery=self._delivered)
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
