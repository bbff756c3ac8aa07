"""How a run ends that does not come to its end, and what it says then."""

import pytest

from trunkline.client.errors import GrowthOvertaken, GrowthStopped, JournalUnreadable
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.progress import Doing, Progress
from trunkline.testing.growth_desk import Desk


def test_a_run_that_is_overtaken_stops_and_closes_nothing_again(desk: Desk) -> None:
    def overtaken(progress: Progress) -> None:
        if progress.doing is Doing.DRAINING:
            desk.grower().grow(desk.topic, 6)

    with pytest.raises(GrowthOvertaken, match=r"another (growth|run)"):
        desk.grower(tell=overtaken).grow(desk.topic, 6)
    assert (desk.partitions, desk.own_setting, desk.publish()) == (6, None, None)


def test_a_stop_says_what_it_leaves_behind(desk: Desk) -> None:
    desk.publish()
    desk.read_all("stuck", commit=False)
    grower = desk.grower(tell=lambda progress: grower.stop() if progress.doing is Doing.DRAINING else None)
    with pytest.raises(GrowthStopped, match=r"may be closed.*grow \S+ --partitions 6` again.*--abandon"):
        grower.grow(desk.topic, 6)
    assert desk.publish() == "MSG_SIZE_TOO_LARGE"


def test_a_journal_that_becomes_unreadable_leaves_a_closed_topic_and_every_way_on_is_told(
    lonely: Desk,
) -> None:
    def spoil(progress: Progress) -> None:
        if progress.doing is Doing.CLOSED:
            lonely.spoil_journal()

    advice = (
        r"version 9 at .*may be closed to publishers: run `trunkline topics grow \S+ --partitions 6` again "
        r"to go on, or with --abandon to open it, once the journal can be read\. If the growth had to be "
        r"deleted from it, give \S+ its max\.message\.bytes back by hand; before, it had 500000"
    )
    lonely.admin.configure(lonely.topic, {SETTING: "500000"})
    with pytest.raises(GrowthStopped, match=advice) as stopped:
        lonely.grower(tell=spoil).grow(lonely.topic, 6)
    assert isinstance(stopped.value.__cause__, JournalUnreadable)
    assert lonely.publish() == "MSG_SIZE_TOO_LARGE"


def test_a_run_that_finds_a_closed_topic_and_no_readable_journal_says_both(lonely: Desk) -> None:
    lonely.grower().grow(lonely.topic, 6)
    lonely.spoil_journal()
    with pytest.raises(JournalUnreadable):
        lonely.grower().grow(lonely.topic, 12)
    lonely.admin.configure(lonely.topic, {SETTING: "0"})
    told = r"version 9 at .* is closed to publishers.*run this again once.*max\.message\.bytes back by hand"
    with pytest.raises(GrowthStopped, match=told):
        lonely.grower().grow(lonely.topic, 12)
    with pytest.raises(GrowthStopped, match=told):
        lonely.grower().abandon(lonely.topic)
