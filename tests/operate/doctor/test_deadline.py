"""The end of a wait."""

import threading
from functools import partial

import pytest

from trunkline.operate.doctor.deadline import together, within


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


def test_what_is_asked_together_is_answered_in_order_and_at_once() -> None:
    met = threading.Barrier(3, timeout=10)

    def ask(number: int) -> int:
        met.wait()
        return number

    assert together(partial(ask, number) for number in range(3)) == [0, 1, 2]


def test_one_error_of_several_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        together([lambda: 1, lambda: 1 // 0])
