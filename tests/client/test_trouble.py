"""What is said about trouble that passes."""

from trunkline.client.trouble import QUIET_SECONDS, TELL_AGAIN_SECONDS, Passed, Trouble


def test_the_same_trouble_is_told_once_a_minute_and_another_at_once() -> None:
    trouble = Trouble()
    assert [second for second in range(150) if trouble.met("_TRANSPORT", second)] == [
        0,
        TELL_AGAIN_SECONDS,
        2 * TELL_AGAIN_SECONDS,
    ]
    assert trouble.met("_MAX_POLL_EXCEEDED", 150)


def test_it_is_over_when_the_cluster_answers_and_nothing_more_is_heard() -> None:
    trouble = Trouble()
    assert trouble.answered(0) is None
    for second in range(10):
        trouble.met("_TRANSPORT", second)
    assert trouble.answered(9 + QUIET_SECONDS - 0.1) is None
    assert trouble
    assert trouble.answered(9 + QUIET_SECONDS) == Passed(9, 10)
    assert not trouble
    assert trouble.met("_TRANSPORT", 20)
