"""The growth journal on a broker, and what is refused in it."""

import msgspec
import pytest

from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.client.config import ConnectionOptions, ProducerOptions, admin_config, producer_config
from trunkline.client.errors import GrowthOvertaken, JournalUnreadable
from trunkline.client.growth import plan
from trunkline.client.growth.journal import Journal, KnownGrowths, decode, encode
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.kafka import Admin, Producer
from trunkline.codec.record import Encoded, Record
from trunkline.testing.processes import BrokerProcess


def begun(topic: str = "query.execution.events", *, growth: str = "g1") -> Growth:
    return plan.begin(
        growth=growth,
        run="run",
        topic=topic,
        topic_id="id",
        before=3,
        after=6,
        max_message_bytes="1048588",
        at_ms=1,
    )


def as_record(value: bytes) -> Record:
    return Record(GROWTH_JOURNAL.name, 0, 7, 0, b"t", value, ())


@pytest.fixture
def connection(broker: BrokerProcess) -> ConnectionOptions:
    return ConnectionOptions(bootstrap_servers=broker.address)


@pytest.fixture
def admin(connection: ConnectionOptions) -> Admin:
    admin = Admin(admin_config(connection))
    Journal(connection, admin).ensure(replication_factor=1, min_insync_replicas="1")
    return admin


def test_an_entry_is_read_back_as_it_was_written() -> None:
    growth = plan.follow(begun(), Stage.DRAINED, run="r", at_ms=2, barriers={0: 1, 1: 2, 2: 2**40})
    assert decode(as_record(encode(growth).value)) == growth


def test_a_newer_version_is_refused_with_the_way_out() -> None:
    value = encode(begun()).value.replace(b'"version":1', b'"version":2')
    with pytest.raises(JournalUnreadable, match=r"version 2 at trunkline\.growth\.journal/0@7.*Upgrade"):
        decode(as_record(value))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hello",
        b"{}",
        encode(begun()).value.replace(b'"from":3', b'"from":-3'),
        encode(begun()).value.replace(b'"stage":"fenced"', b'"stage":"melted"'),
        encode(begun()).value.replace(b'"run":', b'"walk":'),
    ],
)
def test_what_is_no_entry_is_refused_by_its_position(value: bytes) -> None:
    with pytest.raises(JournalUnreadable, match="journal/0@7"):
        decode(as_record(value))


def test_a_cluster_without_a_journal_has_no_growths(broker_factory: object) -> None:
    assert callable(broker_factory)
    with broker_factory() as broker:
        assert (
            KnownGrowths().refreshed(Admin(admin_config(ConnectionOptions(bootstrap_servers=broker.address))))
            == ()
        )


def test_everybody_reads_what_was_appended(connection: ConnectionOptions, admin: Admin) -> None:
    journal, reader = Journal(connection, admin), KnownGrowths()
    growth = begun("a.b.c", growth="appended")
    journal.append(growth)
    assert growth in reader.refreshed(admin)
    after = plan.follow(growth, Stage.ABANDONED, run="run", at_ms=3)
    journal.append(after)
    assert after in reader.refreshed(admin)
    assert growth not in reader.refreshed(admin)


def test_the_second_of_two_that_begin_is_told_and_counts_for_nothing(
    connection: ConnectionOptions, admin: Admin
) -> None:
    Journal(connection, admin).append(begun("d.e.f", growth="first"))
    with pytest.raises(GrowthOvertaken, match=r"d\.e\.f"):
        Journal(connection, admin).append(begun("d.e.f", growth="second"))


def test_appending_the_same_entry_twice_changes_nothing(connection: ConnectionOptions, admin: Admin) -> None:
    journal = Journal(connection, admin)
    growth = begun("g.h.i", growth="twice")
    journal.append(growth)
    journal.append(growth)
    assert [known for known in journal.read() if known.growth == "twice"] == [growth]


def test_nobody_reads_past_what_is_no_entry(broker_factory: object) -> None:
    assert callable(broker_factory)
    with broker_factory() as broker:
        connection = ConnectionOptions(bootstrap_servers=broker.address)
        admin = Admin(admin_config(connection))
        Journal(connection, admin).ensure(replication_factor=1, min_insync_replicas="1")
        producer: Producer[None] = Producer(
            {**producer_config(connection, ProducerOptions()), "linger.ms": 0, "enable.idempotence": False}
        )
        producer.send(GROWTH_JOURNAL.name, Encoded(b"t", msgspec.json.encode({"version": 9}), []), None)
        while len(producer):
            producer.poll(0.1)
        reader = KnownGrowths()
        for _ in range(2):
            with pytest.raises(JournalUnreadable, match="version 9"):
                reader.refreshed(admin)
