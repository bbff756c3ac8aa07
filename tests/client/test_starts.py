"""Where a partition is read from."""

from dataclasses import replace

from trunkline.client.config import ConnectionOptions, ProducerOptions, admin_config, producer_config
from trunkline.client.growth import plan
from trunkline.client.growth.journal import Journal
from trunkline.client.growth.plan import Stage
from trunkline.client.kafka import Admin, Producer, TopicState, partition_of
from trunkline.client.starts import Gate, can_be_read, decide, find_starts
from trunkline.client.store import Store, position
from trunkline.client.store.position import Lane
from trunkline.codec.record import Encoded

LANE = Lane(group="g", cluster_id="c", topic="t", topic_id="i", partition=0)

BEYOND = 1_000_000_000
"""Further than any log of these tests goes."""


def test_a_group_that_has_processed_nothing_starts_with_the_oldest_record() -> None:
    start = decide(LANE, None, 3, 9)
    assert (start.expected, start.offset) == (None, 3)


def test_the_stores_position_is_the_start() -> None:
    for stored in (3, 5, 9):
        start = decide(LANE, stored, 3, 9)
        assert (start.expected, start.offset, start.expired, start.rewound_from) == (stored, stored, 0, None)


def test_records_that_retention_took_are_counted() -> None:
    start = decide(LANE, 1, 3, 9)
    assert (start.expected, start.offset, start.expired) == (1, 3, 2)


def test_a_log_that_ends_before_the_position_is_read_again() -> None:
    start = decide(LANE, 12, 3, 9)
    assert (start.expected, start.offset, start.rewound_from) == (3, 3, 12)


def test_a_position_behind_the_end_of_the_log_is_taken_back_in_the_store_too(
    connection: ConnectionOptions, store: Store
) -> None:
    admin, key = Admin(admin_config(connection)), ("query.execution.events", 0)
    lane = find_starts(store, admin, group="g", partitions=[key])[key].lane
    with store.write() as tx:
        position.advance(tx, lane, expected=None, target=BEYOND)
    start = find_starts(store, admin, group="g", partitions=[key])[key]
    assert (start.expected, start.offset, start.rewound_from) == (0, 0, BEYOND)
    with store.read() as tx:
        assert position.read(tx, [lane]) == {lane: 0}
    assert find_starts(store, admin, group="g", partitions=[key])[key].rewound_from is None


def test_a_lane_names_the_cluster_and_the_incarnation_of_the_topic(
    connection: ConnectionOptions, store: Store
) -> None:
    admin, key = Admin(admin_config(connection)), ("query.execution.events", 0)
    lane = find_starts(store, admin, group="g", partitions=[key])[key].lane
    assert lane.cluster_id == admin.cluster_id()
    assert lane.topic_id
    assert replace(lane, topic_id="") != lane


def test_a_topic_that_is_gone_has_no_start(connection: ConnectionOptions, store: Store) -> None:
    admin = Admin(admin_config(connection))
    assert find_starts(store, admin, group="g", partitions=[("no.such.topic", 0)]) == {}


def test_what_a_growth_has_added_waits_for_the_older_partitions(
    connection: ConnectionOptions, store: Store
) -> None:
    admin, topic = Admin(admin_config(connection)), "held.until.read"
    admin.create(topic, partitions=4, replication_factor=1, config={})
    state = admin.describe([topic])[topic]
    producer: Producer[None] = Producer(
        {**producer_config(connection, ProducerOptions()), "linger.ms": 0, "partitioner": "murmur2"}
    )
    producer.send(topic, Encoded(key_of_partition(0, 4), b"x", []), None)
    while len(producer):
        producer.poll(0.1)
    keys = [(topic, number) for number in range(4)]
    gate = Gate()

    def starting() -> list[int]:
        starts = find_starts(store, admin, group="g", partitions=keys, gate=gate)
        return sorted(number for _, number in starts)

    assert starting() == [0, 1, 2, 3]
    journal = Journal(connection, admin)
    growth = plan.begin(
        growth="g",
        run="r",
        topic=topic,
        topic_id=state.topic_id,
        before=2,
        after=4,
        max_message_bytes=None,
        at_ms=1,
    )
    journal.append(growth)
    assert starting() == [0, 1]
    for stage in (Stage.DRAINED, Stage.GROWN):
        growth = plan.follow(growth, stage, run="r", at_ms=2, barriers={0: 1, 1: 0})
        journal.append(growth)
        assert starting() == [0, 1]
    lane = find_starts(store, admin, group="g", partitions=[keys[0]], gate=gate)[keys[0]].lane
    with store.write() as tx:
        position.advance(tx, lane, expected=None, target=1)
    assert starting() == [0, 1, 2, 3]
    assert sorted(find_starts(store, admin, group="another", partitions=keys)) == keys[:2]


def key_of_partition(number: int, partitions: int) -> bytes:
    return next(
        key for key in (str(n).encode() for n in range(1000)) if partition_of(key, partitions) == number
    )


def test_a_partition_without_a_leader_or_topic_is_left_out_before_anything_is_asked_about_it() -> None:
    topics = {"t": TopicState("t", "id", 3, 1, frozenset({1}))}
    wanted = [("t", 0), ("t", 1), ("t", 2), ("gone", 0)]
    assert can_be_read(wanted, topics) == [("t", 0), ("t", 2)]
