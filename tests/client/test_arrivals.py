"""Partitions that do not start: said why, counted against readiness, and the end where a right is missing."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from prometheus_client import CollectorRegistry

from trunkline.client.arrivals import Arrivals
from trunkline.client.backoff import Backoff
from trunkline.client.errors import ClusterUnavailable, KafkaFailed, StoreUnavailable
from trunkline.client.health import Health, HealthLimits
from trunkline.client.kafka import GroupStanding, Partition
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Phase, Progress
from trunkline.client.reports import Reports
from trunkline.client.starts import Start
from trunkline.client.store.position import Fenced, Lane

KEY: Partition = ("t", 0)
OTHER: Partition = ("t", 1)

Find = Callable[[Sequence[Partition]], Mapping[Partition, Start]]


def found(*keys: Partition) -> Find:
    """These start at their beginning, if they are asked about."""
    starts = {
        key: Start(
            lane=Lane(group="g", cluster_id="c", topic=key[0], topic_id="i", partition=key[1]),
            expected=None,
            offset=0,
        )
        for key in keys
    }
    return lambda due: {key: starts[key] for key in due if key in starts}


def failing(error: Exception) -> Find:
    def find(_: Sequence[Partition]) -> Mapping[Partition, Start]:
        raise error

    return find


class Desk:
    """Two partitions that have just been assigned."""

    def __init__(self) -> None:
        self.progress = Progress(Backoff(first=1.0, longest=1.0))
        self.health = Health(HealthLimits(holding=20), now=0.0)
        self.health.stands(GroupStanding(coordinated=True, joined=True), 0.0)
        self.health.assigned(2)
        reports = Reports("g", ConsumerMetrics(CollectorRegistry(), "g"))
        self.arrivals = Arrivals(self.progress, health=self.health, reports=reports)
        self.progress.assigned([KEY, OTHER])

    def not_ready(self, now: float) -> list[str]:
        self.health.turned(now)
        return self.health.not_ready(now)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (StoreUnavailable("store: unable to open database file"), "store: unable to open database file"),
        (ClusterUnavailable("no Kafka broker answers"), "no Kafka broker answers"),
        (Fenced(), "another member is at it"),
    ],
)
def test_partitions_that_cannot_start_for_long_make_the_consumer_unready_and_say_why(
    desk: Desk, error: Exception, why: str
) -> None:
    for now in range(21):
        assert not desk.arrivals.start(failing(error), float(now))
        assert desk.not_ready(float(now)) == []
    assert desk.not_ready(21.0) == [f"partitions cannot start for more than 20 s: {why}"]
    assert desk.arrivals.start(found(KEY, OTHER), 22.0)
    assert desk.not_ready(22.0) == []
    assert desk.progress.count(Phase.READING) == 2


def test_a_partition_that_is_withheld_for_long_makes_the_consumer_unready(desk: Desk) -> None:
    for now in range(22):
        desk.arrivals.start(found(KEY), float(now))
    (reason,) = desk.not_ready(21.0)
    assert "a growth added them" in reason


def test_a_right_that_stays_missing_ends_the_consumer(desk: Desk) -> None:
    forbidden = KafkaFailed("TOPIC_AUTHORIZATION_FAILED", "grant its principal Read on topic x")
    desk.arrivals.start(failing(forbidden), 0.0)
    desk.arrivals.start(failing(ClusterUnavailable("away")), 2.0)  # The benefit of the doubt begins anew.
    desk.arrivals.start(failing(forbidden), 4.0)
    desk.arrivals.start(failing(forbidden), 6.0)
    with pytest.raises(KafkaFailed, match="grant its principal Read on topic x"):
        desk.arrivals.start(failing(forbidden), 7.0)


def test_partitions_that_are_not_due_are_not_asked_about(desk: Desk) -> None:
    asked: list[Sequence[Partition]] = []

    def find(due: Sequence[Partition]) -> Mapping[Partition, Start]:
        asked.append(due)
        raise ClusterUnavailable("away")

    desk.arrivals.start(find, 0.0)
    desk.arrivals.start(find, 0.9)
    desk.arrivals.start(find, 1.0)
    assert asked == [[KEY, OTHER], [KEY, OTHER]]
