"""Growing a topic on the embedded broker: what is refused, what goes on after which death."""

import pytest

from trunkline.client.errors import InvalidGrowth
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.journal import KnownGrowths
from trunkline.client.growth.plan import Stage
from trunkline.client.growth.progress import Doing, Progress
from trunkline.testing.growth_desk import Desk, Died


@pytest.mark.parametrize(
    "at", [doing for doing in Doing if doing not in (Doing.RESUMING, Doing.OVERDUE, Doing.ABANDONED)]
)
def test_a_run_that_dies_at_any_step_is_gone_on_with(desk: Desk, at: Doing) -> None:
    desk.publish()
    desk.read_all("reader")

    def die(progress: Progress) -> None:
        if progress.doing is at:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    if at is Doing.DONE:
        assert desk.last.stage is Stage.RELEASED
    else:
        desk.grower().grow(desk.topic, 6)
        assert desk.doings()[0] is Doing.RESUMING
    assert (desk.partitions, desk.own_setting, desk.publish()) == (6, None, None)
    assert (desk.last.stage, len(desk.last.barriers)) == (Stage.RELEASED, 3)


@pytest.mark.parametrize("at", [Doing.CLOSING, Doing.CLOSED, Doing.DRAINING, Doing.DRAINED])
def test_until_the_partitions_are_there_a_growth_can_be_abandoned(desk: Desk, at: Doing) -> None:
    def die(progress: Progress) -> None:
        if progress.doing is at:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    assert desk.grower().abandon(desk.topic).stage is Stage.ABANDONED
    assert (desk.partitions, desk.own_setting, desk.publish()) == (3, None, None)
    with pytest.raises(InvalidGrowth, match="no growth"):
        desk.grower().abandon(desk.topic)


def test_partitions_that_are_there_cannot_be_taken_back(desk: Desk) -> None:
    def die(progress: Progress) -> None:
        if progress.doing is Doing.ADDED:
            raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    with pytest.raises(InvalidGrowth, match="cannot be taken back; finish with --partitions 6"):
        desk.grower().abandon(desk.topic)


def test_another_number_is_refused_while_a_growth_is_under_way(desk: Desk) -> None:
    def die(progress: Progress) -> None:
        raise Died

    with pytest.raises(Died):
        desk.grower(tell=die).grow(desk.topic, 6)
    with pytest.raises(InvalidGrowth, match="growing from 3 to 6"):
        desk.grower().grow(desk.topic, 9)
    with pytest.raises(InvalidGrowth, match="under way"):
        desk.grower().grow_unsafely(desk.topic, 9)


@pytest.mark.parametrize(
    ("topic", "partitions", "error"),
    [
        (None, 4, "multiple"),
        (None, 3, "has 3 partitions already"),
        ("no.such.topic", 6, "no topic no.such.topic"),
        ("trunkline.growth.journal", 2, "one partition for a reason"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_closed(
    desk: Desk, topic: str | None, partitions: int, error: str
) -> None:
    with pytest.raises(InvalidGrowth, match=error):
        desk.grower().grow(topic or desk.topic, partitions)
    assert desk.publish() is None


def test_a_topic_that_is_closed_by_hand_is_not_grown(desk: Desk) -> None:
    desk.admin.configure(desk.topic, {SETTING: "0"})
    with pytest.raises(InvalidGrowth, match="nobody can publish"):
        desk.grower().grow(desk.topic, 6)


def test_the_unsafe_way_adds_partitions_and_writes_no_journal(desk: Desk) -> None:
    desk.grower().grow_unsafely(desk.topic, 5)
    assert desk.partitions == 5
    assert all(growth.topic != desk.topic for growth in KnownGrowths().refreshed(desk.admin))
