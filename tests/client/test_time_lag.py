"""The age of what a group has not consumed, read from the log itself."""

import time
from itertools import pairwise

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # it re-exports silently
from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.config import ConnectionOptions
from trunkline.client.lag import Lag, lag_of
from trunkline.client.time_lag import TimeLag, rounds

TOPIC = "observed.by.time.lag"
NOW = 1_700_000_100.0
KEYS = st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 2))


@pytest.fixture(scope="module")
def written(connection: ConnectionOptions) -> dict[int, int]:
    """Records in partition 1, a second apart: timestamps in milliseconds by offset."""
    servers: dict[str, str | int | float | bool] = {"bootstrap.servers": connection.bootstrap_servers}
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(TOPIC, 2, 1, config={"retention.ms": "-1"})])[TOPIC].result(10)
    producer = confluent_kafka.Producer(servers)
    stamps = {offset: 1_700_000_000_000 + offset * 1_000 for offset in range(20)}
    for offset, stamp in stamps.items():
        producer.produce(TOPIC, b"x" * 4_000, partition=1, timestamp=stamp)
        if offset % 5 == 4:
            assert producer.flush(10) == 0
    return stamps


def lag(group: str, committed: int, end: int, *, partition: int = 1) -> Lag:
    return lag_of(group, (TOPIC, partition), committed=committed, bounds=(0, end))


def test_the_first_record_not_consumed_says_how_far_behind_in_seconds(
    connection: ConnectionOptions, written: dict[int, int]
) -> None:
    lags = [lag("one", 3, 20), lag("two", 17, 20), lag("three", 20, 20), lag("four", 3, 20)]
    with TimeLag(connection) as time_lag:
        measured = time_lag.measure(lags, now=NOW)
    assert [item.seconds for item in measured] == [97.0, 83.0, 0.0, 97.0]


def test_a_record_from_the_future_and_an_end_without_a_record_are_no_lag(
    connection: ConnectionOptions, written: dict[int, int]
) -> None:
    with TimeLag(connection) as time_lag:
        ahead, empty = time_lag.measure(
            [lag("one", 19, 20), lag("one", 0, 1, partition=0)], now=1_700_000_000.0
        )
    assert (ahead.seconds, empty.seconds) == (0.0, 0.0)


def test_a_position_is_read_once_and_forgotten_when_nobody_is_there(
    connection: ConnectionOptions, written: dict[int, int]
) -> None:
    with TimeLag(connection) as time_lag:
        time_lag.measure([lag("one", 3, 20)], now=NOW)
        time_lag.close()
        assert time_lag._known == {((TOPIC, 1), 3): written[3]}
        (again,) = time_lag.measure([lag("one", 3, 20)], now=NOW + 1)
        assert again.seconds == 98.0
        assert time_lag._consumer is None, "nothing had to be read"
        time_lag.measure([lag("one", 20, 20)], now=NOW)
        assert time_lag._known == {}


def test_without_time_to_look_nothing_is_claimed(connection: ConnectionOptions) -> None:
    nobody = ConnectionOptions(bootstrap_servers="127.0.0.1:1")
    began = time.monotonic()
    with TimeLag(nobody, look_seconds=0.3) as time_lag:
        (found,) = time_lag.measure([lag("one", 3, 20)], now=NOW)
    assert found.seconds is None
    assert time.monotonic() - began < 5


@given(st.sets(st.tuples(KEYS, st.integers(0, 9))))
def test_every_position_is_in_one_round_and_the_furthest_behind_comes_first(
    wanted: set[tuple[tuple[str, int], int]],
) -> None:
    made = rounds(wanted)
    assert sorted(item for one in made for item in one.items()) == sorted(wanted)
    for earlier, later in pairwise(made):
        assert all(earlier[key] < offset for key, offset in later.items())
