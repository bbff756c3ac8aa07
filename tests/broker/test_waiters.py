"""A reader is woken exactly once, as soon as enough has come, and never after it left."""

from trunkline.broker.waiters import Wait, Waiters


def test_a_reader_is_woken_when_its_bytes_have_come_from_any_of_its_partitions() -> None:
    waiters: Waiters[str] = Waiters()
    woken: list[str] = []
    waiters.add(Wait(["a", "b"], 100, lambda: woken.append("reader")))
    waiters.arrived("a", 60)
    waiters.arrived("elsewhere", 1000)
    assert woken == []
    waiters.arrived("b", 40)
    assert woken == ["reader"]
    waiters.arrived("a", 1000)
    assert woken == ["reader"]
    assert len(waiters) == 0


def test_a_reader_that_left_is_not_woken() -> None:
    waiters: Waiters[str] = Waiters()
    wait = Wait(["a"], 1, lambda: (_ for _ in ()).throw(AssertionError))
    waiters.add(wait)
    waiters.remove(wait)
    waiters.arrived("a", 1)
    waiters.release()


def test_a_reader_may_wait_again_while_it_is_woken() -> None:
    waiters: Waiters[str] = Waiters()
    woken: list[int] = []

    def again() -> None:
        woken.append(1)
        waiters.add(Wait(["a"], 1, again))

    again()
    waiters.arrived("a", 1)
    waiters.changed("a")
    waiters.release()
    assert len(woken) == 4
    assert len(waiters) == 1
