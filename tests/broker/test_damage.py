"""Bytes that rot on the disk: what a broker says, and how every client gets past them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiokafka
import confluent_kafka as ck
import kafka
import pytest

from trunkline.testing.processes import BrokerProcess

TOPIC = "test.damaged.log"
RECORDS = 10
DEADLINE_S = 20.0


def fill(address: str, values: range) -> None:
    """One batch for each value."""
    producer = ck.Producer({"bootstrap.servers": address, "linger.ms": 0})
    for value in values:
        producer.produce(TOPIC, b"%d" % value, b"k", partition=0)
        assert producer.flush(DEADLINE_S) == 0


def flip(data_dir: Path, *, from_end: int) -> None:
    (path,) = (data_dir / "topics" / f"{TOPIC}-0").glob("*.log")
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 0xFF
    path.write_bytes(content)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker whose only log lost its last record to a flipped byte while it was stopped."""
    data_dir = tmp_path_factory.mktemp("damaged") / "data"
    with BrokerProcess(data_dir, "--auto-create-topics", "--default-partitions", "1") as broker:
        fill(broker.address, range(RECORDS))
        assert broker.terminate() == 0
        flip(data_dir, from_end=1)
        broker.restart()
        yield broker


def confluent_reads(address: str) -> tuple[list[int], int]:
    consumer = ck.Consumer(
        {"bootstrap.servers": address, "group.id": "g", "enable.partition.eof": True, "check.crcs": True}
    )
    consumer.assign([ck.TopicPartition(TOPIC, 0, 0)])
    values: list[int] = []
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        error = message.error() if message is not None else None
        if error is not None and error.code() == ck.KafkaError._PARTITION_EOF:
            break
        if message is not None and error is None:
            values.append(int(message.value() or b""))
    end = message.offset() if message is not None else None
    consumer.close()
    assert end is not None, "the end of the partition never came"
    return values, end


def kafka_python_reads(address: str) -> tuple[list[int], int]:
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    partition = kafka.TopicPartition(TOPIC, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    values: list[int] = []
    deadline = time.monotonic() + DEADLINE_S
    while consumer.position(partition) < RECORDS and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=500).values():
            values += [int(record.value) for record in records]
    end = consumer.position(partition)
    consumer.close()
    return values, int(end)


def aiokafka_reads(address: str) -> tuple[list[int], int]:
    async def read() -> tuple[list[int], int]:
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
        await consumer.start()
        partition = aiokafka.TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        consumer.seek(partition, 0)
        values: list[int] = []
        while await consumer.position(partition) < RECORDS:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                values += [int(record.value) for record in records]
        end = await consumer.position(partition)
        await consumer.stop()
        return values, int(end)

    return asyncio.run(asyncio.wait_for(read(), DEADLINE_S))


@pytest.mark.parametrize("reads", [confluent_reads, kafka_python_reads, aiokafka_reads])
def test_a_client_reads_what_is_there_and_gets_past_damage_at_the_end(
    damaged: BrokerProcess, reads: Callable[[str], tuple[list[int], int]]
) -> None:
    assert reads(damaged.address) == (list(range(RECORDS - 1)), RECORDS)


def test_damage_that_is_found_is_named_once_with_its_offsets(damaged: BrokerProcess) -> None:
    confluent_reads(damaged.address)
    confluent_reads(damaged.address)
    line = damaged.stderr.wait_line(lambda line: "damaged" in line, timeout_s=DEADLINE_S)
    assert line is not None
    assert f"offsets {RECORDS - 1}..{RECORDS - 1} cannot be read; the bytes were kept" in line
    assert damaged.stderr.text.count("cannot be read") == 1


def test_damage_in_the_middle_costs_its_own_records_and_is_named_at_every_start(tmp_path: Path) -> None:
    with BrokerProcess(tmp_path, "--auto-create-topics", "--default-partitions", "1") as broker:
        fill(broker.address, range(RECORDS))
        assert broker.terminate() == 0
        size = (tmp_path / "topics" / f"{TOPIC}-0" / f"{0:020}.log").stat().st_size
        flip(tmp_path, from_end=size - 4 * size // RECORDS - 1)
        broker.restart()
        values, end = confluent_reads(broker.address)
        assert len(values) == RECORDS - 1
        assert end == RECORDS
        assert broker.terminate() == 0
        broker.restart()
        assert broker.stderr.wait_line(
            lambda line: "cannot be read; the bytes were kept" in line, timeout_s=10
        )
