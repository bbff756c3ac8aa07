import pytest

from trunkline.client.pace import Pace
from trunkline.errors import InvalidInput


def test_the_first_may_begin_at_once_and_each_other_one_a_share_of_a_second_later() -> None:
    pace = Pace(4)
    assert pace.wait(10.0) == 0.0
    pace.took(10.0)
    assert pace.wait(10.0) == 0.25
    assert pace.wait(10.2) == pytest.approx(0.05)
    pace.took(10.25)
    assert pace.wait(10.25) == 0.25


def test_what_was_not_used_is_not_saved_up() -> None:
    pace = Pace(4)
    pace.took(10.0)
    assert pace.wait(99.0) == 0.0
    pace.took(99.0)
    assert pace.wait(99.0) == 0.25


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_pace_that_never_ends_is_refused(rate: float) -> None:
    with pytest.raises(InvalidInput, match="give a number above 0"):
        Pace(rate)
