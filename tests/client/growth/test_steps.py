"""The steps of a growth on the embedded broker: what is closed when, and where the barriers are."""

import pytest

from trunkline.client.errors import GrowthStopped
from trunkline.client.growth import fence
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.plan import Stage
from trunkline.client.growth.progress import Doing, Progress
from trunkline.testing.growth_desk import Desk


def test_a_topic_is_closed_drained_grown_and_opened(desk: Desk) -> None:
    assert desk.publish() is None
    desk.read_all("reader")
    states: dict[Doing, tuple[str | None, int]] = {}

    def look(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.doing in (Doing.CLOSED, Doing.ADDED, Doing.OPENED):
            states[progress.doing] = (desk.publish(), desk.partitions)

    growth = desk.grower(tell=look).grow(desk.topic, 6)
    assert states == {
        Doing.CLOSED: ("MSG_SIZE_TOO_LARGE", 3),
        Doing.ADDED: ("MSG_SIZE_TOO_LARGE", 6),
        Doing.OPENED: (None, 6),
    }
    assert desk.doings() == [
        Doing.CLOSING,
        Doing.CLOSED,
        Doing.DRAINING,
        Doing.DRAINED,
        Doing.ADDED,
        Doing.SETTLED,
        Doing.OPENED,
        Doing.DONE,
    ]
    assert (growth.stage, sum(growth.barriers.values()), len(growth.barriers)) == (Stage.RELEASED, 1, 3)
    assert desk.last == growth


@pytest.mark.parametrize("own", [None, "500000"])
def test_the_topic_gets_its_own_setting_back_or_none(desk: Desk, own: str | None) -> None:
    desk.admin.configure(desk.topic, {SETTING: own})
    desk.grower().grow(desk.topic, 6)
    assert desk.own_setting == own


def test_who_undoes_the_fence_ends_the_growth(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)

    def undo(progress: Progress) -> None:
        if progress.doing is Doing.DRAINING:
            fence.reopen(desk.admin, desk.topic, None)

    with pytest.raises(GrowthStopped, match=r"something else has changed its max\.message\.bytes"):
        desk.grower(tell=undo).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.last.stage) == (3, None, Stage.ABANDONED)


def test_what_arrives_after_the_topic_was_drained_moves_the_barriers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fence is switched off here, so a late append stands for one that had slipped through."""
    monkeypatch.setattr(fence, "keep_closed", lambda *_: True)
    desk.publish()
    desk.read_all("reader")

    def late(progress: Progress) -> None:
        desk.told.append(progress)
        if progress.doing is Doing.DRAINED:
            assert desk.publish() is None
        if progress.doing is Doing.DRAINING and progress.lags["reader"]:
            desk.read_all("reader")

    growth = desk.grower(tell=late).grow(desk.topic, 6)
    assert sum(growth.barriers.values()) == 2
