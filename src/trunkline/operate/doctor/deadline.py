"""Ends the wait for what cannot be told to end, such as the system's name resolution."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

Answer = TypeVar("Answer")


def together(asked: Iterable[Callable[[], Answer]]) -> list[Answer]:
    """What each of these returns, in their order, asked at the same time: each ends by itself."""
    calls = list(asked)
    answers: list[Answer | None] = [None] * len(calls)
    failures: list[BaseException] = []

    def answer(place: int) -> None:
        try:
            answers[place] = calls[place]()
        except BaseException as error:  # noqa: BLE001 - raised again for who waits
            failures.append(error)

    threads = [
        threading.Thread(target=answer, args=[place], name="doctor", daemon=True)
        for place in range(len(calls))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return cast("list[Answer]", answers)


def within(seconds: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns or raises; `TimeoutError` when it takes longer. It then goes on, and nobody listens.

    A thread that is left behind does not keep the process alive.
    """
    answers: list[Answer] = []
    failures: list[BaseException] = []

    def answer() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - raised again for who waits
            failures.append(error)

    thread = threading.Thread(target=answer, name="doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answers[0]
