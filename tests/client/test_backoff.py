"""How long to wait before trying again."""

from trunkline.client.backoff import Backoff


def test_waits_double_up_to_their_bound() -> None:
    backoff = Backoff(first=0.5, longest=3.0)
    assert [backoff.wait(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_failure_that_lasts_for_weeks_does_not_overflow() -> None:
    assert Backoff().wait(10**9) == Backoff().longest
