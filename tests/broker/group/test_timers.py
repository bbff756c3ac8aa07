"""A group is looked at when its earliest deadline has come, and once."""

from trunkline.broker.group.timers import Timers


def test_the_earliest_deadline_of_a_group_counts() -> None:
    timers = Timers()
    timers.set("a", 30)
    timers.set("a", 10)
    timers.set("a", 20)
    timers.set("b", 15)
    assert timers.next_ms == 10
    assert list(timers.due(9)) == []
    assert list(timers.due(100)) == ["a", "b"]
    assert list(timers.due(100)) == []


def test_a_group_that_is_set_again_while_it_is_looked_at_comes_again() -> None:
    timers = Timers()
    timers.set("a", 10)
    seen = []
    for group_id in timers.due(20):
        seen.append(group_id)
        if len(seen) == 1:
            timers.set(group_id, 15)
    assert seen == ["a", "a"]


def test_a_dropped_group_never_comes() -> None:
    timers = Timers()
    timers.set("a", 10)
    timers.drop("a")
    assert list(timers.due(20)) == []
