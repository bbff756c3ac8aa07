"""The end of a wait."""

import threading

import pytest

from trunkline.operate.doctor.deadline import within


def test_an_answer_in_time_is_given_back() -> None:
    assert within(5, lambda: 7) == 7


def test_an_error_in_time_is_raised() -> None:
    with pytest.raises(OSError, match="gone"):
        within(5, lambda: (_ for _ in ()).throw(OSError("gone")))


def test_who_never_answers_is_given_up() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        within(0.05, lambda: never.wait(30))
    never.set()
