"""Liveness and readiness: what a dead, stuck or unassigned consumer cannot pass."""

import pytest

from trunkline.client.health import Health, HealthLimits
from trunkline.client.kafka import GroupStanding

LIMITS = HealthLimits(loop=100, poll=30, cluster=10, holding=20)
THERE = GroupStanding(coordinated=True, joined=True)
AWAY = GroupStanding(coordinated=False, joined=False)


@pytest.fixture
def healthy() -> Health:
    health = Health(LIMITS, now=0.0)
    health.turned(0.0)
    health.stands(THERE, 0.0)
    health.assigned(3)
    return health


def test_a_consumer_that_consumes_is_live_and_ready(healthy: Health) -> None:
    assert healthy.not_live(30.0) == []
    assert healthy.not_ready(30.0) == []


def test_one_that_has_not_joined_is_live_and_unready() -> None:
    health = Health(LIMITS, now=0.0)
    assert health.not_live(5.0) == []
    assert health.not_ready(5.0) == ["not joined yet"]


def test_a_handler_that_hangs_makes_it_unready_and_then_dead(healthy: Health) -> None:
    assert "31 s ago" in healthy.not_ready(31.0)[0]
    assert healthy.not_live(31.0) == []
    assert "a handler may hang" in healthy.not_live(101.0)[0]


def test_one_that_has_ended_is_neither(healthy: Health) -> None:
    healthy.ended("BreakerOpen")
    assert healthy.not_live(0.0) == healthy.not_ready(0.0) == ["the consumer has ended: BreakerOpen"]


def test_one_that_stops_is_unready_and_alive(healthy: Health) -> None:
    healthy.stopping()
    assert healthy.not_ready(0.0) == ["the consumer is stopping"]
    assert healthy.not_live(0.0) == []


def test_one_without_a_partition_is_unready(healthy: Health) -> None:
    healthy.assigned(0)
    assert healthy.not_ready(0.0) == ["no partition is assigned to this member"]


def test_a_cluster_that_is_away_makes_it_unready_and_not_dead(healthy: Health) -> None:
    healthy.stands(AWAY, 1.0)
    healthy.turned(12.0)
    assert healthy.not_ready(10.0) == []
    assert healthy.not_ready(12.0) == ["the cluster does not answer for more than 10 s"]
    assert healthy.not_live(12.0) == []
    healthy.stands(AWAY, 13.0)  # The bound counts from the first word of it.
    assert healthy.not_ready(14.0) != []
    healthy.stands(THERE, 15.0)
    assert healthy.not_ready(15.0) == []


def test_partitions_that_wait_long_for_the_store_make_it_unready(healthy: Health) -> None:
    healthy.holding(1, 1.0)
    healthy.holding(2, 15.0)
    assert healthy.not_ready(20.0) == []
    assert "wait for the store" in healthy.not_ready(22.0)[0]
    healthy.holding(0, 23.0)
    assert healthy.not_ready(23.0) == []


def test_a_complaint_lasts_until_it_is_taken_back(healthy: Health) -> None:
    assert healthy.complain("topics", "they differ")
    assert not healthy.complain("topics", "they differ")
    assert healthy.not_ready(0.0) == ["they differ"]
    assert healthy.complain("topics", None)
    assert healthy.not_ready(0.0) == []
