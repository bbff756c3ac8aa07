from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from trunkline.catalogue.events.query import TOPIC
from trunkline.client.config import (
    ConnectionOptions,
    ConsumerOptions,
    ProducerOptions,
    consumer_config,
    producer_config,
)
from trunkline.client.reader import TopicReader
from trunkline.codec import Encoded, decode
from trunkline.testing.bench import micro, raw
from trunkline.testing.bench.engine import create_topic, make_values
from trunkline.testing.processes import BrokerProcess


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory: Path = tmp_path_factory.mktemp("bench")
    with BrokerProcess(directory / "broker") as broker:
        yield broker.address


def test_values_are_one_kilobyte_each_and_differ() -> None:
    values = make_values(Random(1))
    assert {len(value) for value in values} == {1000}
    assert len(set(values)) == len(values)


def test_what_is_produced_for_a_while_is_what_is_consumed(address: str) -> None:
    create_topic(address, "raw.through.put")
    raw.wait_topic(address, "raw.through.put")
    produced = raw.produce(address, "raw.through.put", values=make_values(Random(1)), seconds=0.1)
    assert produced.value_bytes == produced.records * 1000
    assert produced.seconds >= 0.1
    assert produced.megabytes_per_second * 1e6 == pytest.approx(produced.records_per_second * 1000)
    consumed = raw.consume(address, "raw.through.put")
    # One warm-up record more, and without the batch that started the clock.
    assert 0 <= consumed.records <= produced.records + 1


def test_every_event_of_a_steady_rate_has_both_its_latencies(address: str) -> None:
    create_topic(address, "raw.steady.rate")
    found = raw.latencies(address, "raw.steady.rate", value=b"x" * 1000, rate=100, seconds=0.3)
    assert len(found.acknowledged) == len(found.consumed) == 30
    assert all(0 < sample < 15_000 for sample in (*found.acknowledged, *found.consumed))


def test_the_contracts_loop_reads_what_was_produced_with_headers(address: str) -> None:
    create_topic(address, "raw.with.headers")
    connection = ConnectionOptions(bootstrap_servers=address)
    events = [Encoded(b"tenant", b"{}", [("ce_id", b"%d" % number)]) for number in range(50)]
    config = producer_config(connection, ProducerOptions())
    produced = raw.produce_encoded(config, "raw.with.headers", events=events, seconds=0.05)
    assert produced.records % 50 == 0
    group = consumer_config(connection, ConsumerOptions(group="raw"))
    assert raw.consume_group(group, "raw.with.headers", records=50).records >= 50


def test_what_is_made_by_hand_is_what_the_library_reads(address: str) -> None:
    create_topic(address, TOPIC)
    connection = ConnectionOptions(bootstrap_servers=address)
    config = producer_config(connection, ProducerOptions())
    produced = raw.produce_by_hand(config, TOPIC, data=micro.EVENT, tenants=["a", "b"], seconds=0.05)
    assert produced.records % 2 == 0
    with TopicReader(connection, TOPIC) as reader:
        events = [decode(record) for record in reader.existing() if record.key != b"warm-up" and record.key]
    assert len(events) == produced.records
    assert {event.tenantid for event in events} == {"a", "b"}
    assert all(event.data == micro.EVENT for event in events)
    assert len({event.id for event in events}) == len(events)
