"""Which tenant loads which partition, by a sample, and what growing would change."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.catalogue.events import Event
from trunkline.catalogue.model import Catalogue
from trunkline.client.admin import ensure_topics
from trunkline.client.config import ConnectionOptions
from trunkline.client.errors import InvalidGrowth
from trunkline.client.kafka import partition_of
from trunkline.client.publisher import Publisher
from trunkline.client.tenants import placed, spread, summed
from trunkline.codec.record import Record
from trunkline.testing.processes import BrokerProcess

TOPIC = "query.execution.events"


def records(loads: dict[str, int], partitions: int) -> Iterator[Record]:
    for tenant, count in loads.items():
        number = partition_of(tenant.encode(), partitions)
        for offset in range(count):
            yield Record(TOPIC, number, offset, 0, tenant.encode(), b"12345", ())


def counted(loads: dict[str, int], partitions: int) -> dict[int, int]:
    counts = dict.fromkeys(range(partitions), 0)
    for record in records(loads, partitions):
        counts[record.partition] += 1
    return counts


LOADS = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=6), st.integers(1, 40), min_size=1, max_size=12
)


@given(LOADS, st.integers(1, 6), st.integers(2, 4))
def test_read_in_full_the_figures_are_exact_and_those_after_growth_come_true(
    loads: dict[str, int], partitions: int, factor: int
) -> None:
    now = summed(TOPIC, counted(loads, partitions), records(loads, partitions), growth=partitions * factor)
    assert now.complete
    assert {load.tenant: load.records for load in now.tenants} == loads
    then = summed(TOPIC, counted(loads, partitions * factor), records(loads, partitions * factor))
    assert now.skew_after == then.skew
    assert {
        load.tenant: load.partition if load.moves_to is None else load.moves_to for load in now.tenants
    } == {load.tenant: load.partition for load in then.tenants}


def test_a_sample_is_scaled_up_to_what_its_partition_holds() -> None:
    found = summed(TOPIC, {0: 1_000, 1: 0}, records({"a": 10, "c": 30}, 1))
    assert {load.tenant: (load.records, load.share) for load in found.tenants} == {
        "a": (250, 0.25),
        "c": (750, 0.75),
    }
    assert (found.complete, found.skew) == (False, 2.0)
    assert [(load.records, load.sampled, load.bytes) for load in found.partitions] == [
        (1_000, 40, 6_000),
        (0, 0, 0),
    ]


def test_a_record_without_a_key_is_nobodys() -> None:
    found = summed(TOPIC, {0: 1}, [Record(TOPIC, 0, 0, 0, None, None, ())])
    assert [(load.tenant, load.records) for load in found.tenants] == [(None, 1)]


def test_an_empty_topic_is_even() -> None:
    assert summed(TOPIC, {0: 0, 1: 0}, []).skew == 1.0


def test_the_spread_of_a_topic_is_read_within_the_sample(
    broker: BrokerProcess, catalogue: Catalogue, event: Event
) -> None:
    # Of its own: on a cluster that tests share the topic holds other tenants as well.
    connection = ConnectionOptions(bootstrap_servers=broker.address)
    ensure_topics(connection, catalogue, "development")
    with Publisher(service="query-engine", connection=connection, catalogue=catalogue) as publisher:
        sent = [publisher.publish(event, tenant="acme") for _ in range(12)]
        number = {delivery.result(20).partition for delivery in sent}.pop()
    found = spread(connection, TOPIC, growth=6, sample=9)
    assert found.partitions[number].sampled == 3
    assert [(load.tenant, load.partition, load.records) for load in found.tenants] == [("acme", number, 12)]
    assert spread(connection, TOPIC, sample=None).complete
    with pytest.raises(InvalidGrowth, match="multiple"):
        spread(connection, TOPIC, growth=7)


def test_a_tenant_is_found_in_every_topic_without_reading(
    connection: ConnectionOptions, catalogue: Catalogue
) -> None:
    where = placed(connection, catalogue, "acme")
    assert where == dict.fromkeys(catalogue.topics, partition_of(b"acme", 3))
