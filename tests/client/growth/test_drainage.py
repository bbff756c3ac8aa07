"""Which groups a growth waits for, and how long."""

import pytest

from trunkline.client.errors import GrowthStopped
from trunkline.client.growth.plan import Stage
from trunkline.client.growth.progress import Doing, Pace, Progress
from trunkline.testing.growth_desk import Desk


def test_what_the_growth_waits_for_is_told_live(desk: Desk) -> None:
    desk.publish()
    desk.read_all("slow", commit=False)

    def catch_up(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.lags.get("slow"):
            desk.read_all("slow")

    desk.grower(tell=catch_up).grow(desk.topic, 6)
    lags = [progress.lags["slow"] for progress in desk.told if progress.doing is Doing.DRAINING]
    assert (lags[0], lags[-1]) == (1, 0)


def test_a_group_that_does_not_drain_in_time_leaves_the_topic_open_and_as_it_was(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)
    with pytest.raises(GrowthStopped, match=r"stuck by 1 records.*open to publishers again"):
        desk.grower(pace=Pace(drain=0.1, quiet=0.02, poll=0.02)).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.publish()) == (3, None, None)
    assert desk.last.stage is Stage.ABANDONED
    desk.grower(ignored=("stuck",)).grow(desk.topic, 6)
    assert desk.partitions == 6


def test_a_consumer_of_the_contract_that_runs_elsewhere_has_to_drain_too(desk: Desk) -> None:
    other = Desk(desk.connection, f"{desk.topic}.other")
    other.admin.create(other.topic, partitions=1, replication_factor=1, config={})
    other.read_all("audit-service")
    desk.publish()
    hasty = Pace(drain=0.1, quiet=0.02, poll=0.02)
    with pytest.raises(GrowthStopped, match="audit-service by 1 records"):
        desk.grower(consumers=("audit-service", "never-started"), pace=hasty).grow(desk.topic, 6)
