"""Waiting for a change, and being interrupted in it."""

import signal
import threading
import time

import pytest

from trunkline.client.changed import Changed


def test_whoever_waits_looks_again_after_a_change() -> None:
    changed = Changed(threading.Lock())
    seen: list[int] = []

    def change() -> None:
        for number in range(3):
            with changed.lock:
                seen.append(number)
                changed.notify_all()

    thread = threading.Thread(target=change)
    thread.start()
    assert changed.wait_for(lambda: len(seen) == 3)
    thread.join()


def test_what_does_not_come_is_waited_for_no_longer_than_said() -> None:
    changed = Changed(threading.Lock())
    began = time.monotonic()
    assert not changed.wait_for(lambda: False, 0.05)
    assert time.monotonic() - began >= 0.05
    assert changed.wait_for(lambda: True, 0)
    with changed.lock:
        changed.notify_all()


def test_an_interrupt_leaves_the_lock_free() -> None:
    changed = Changed(threading.Lock())

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for number in range(300):
            with pytest.raises(KeyboardInterrupt):
                wait_without_end(changed, interrupted_after=0.0001 + number * 0.000005)
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert not changed.lock.locked()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def wait_without_end(changed: Changed, *, interrupted_after: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, interrupted_after, 10.0)
    while True:
        changed.wait_for(lambda: False, 0.0001)
