"""When the join phase of a rebalance ends."""

from trunkline.broker.group.window import JoinWindow


def test_an_ordinary_window_ends_after_its_timeout_however_many_come() -> None:
    window = JoinWindow()
    window.open(1_000, now_ms=5)
    window.grew()
    assert (window.deadline_ms, window.delayed) == (1_005, False)
    assert window.end(now_ms=1_005)


def test_a_delayed_window_is_extended_while_members_come() -> None:
    window = JoinWindow()
    window.open_delayed(100, 1_000, now_ms=0)
    window.grew()
    assert not window.end(now_ms=100)
    assert window.deadline_ms == 200
    assert window.end(now_ms=200)


def test_a_delayed_window_is_never_longer_than_the_rebalance_timeout() -> None:
    window = JoinWindow()
    window.open_delayed(100, 250, now_ms=0)
    ends = []
    for _ in range(2):
        window.grew()
        assert window.deadline_ms is not None
        assert not window.end(now_ms=window.deadline_ms)
        ends.append(window.deadline_ms)
    window.grew()
    assert ends == [200, 250]
    assert window.end(now_ms=250)


def test_without_a_delay_a_window_does_not_wait() -> None:
    window = JoinWindow()
    window.open_delayed(0, 1_000, now_ms=7)
    assert (window.deadline_ms, window.delayed) == (7, False)


def test_a_closed_window_has_no_deadline() -> None:
    window = JoinWindow()
    window.open_delayed(100, 1_000, now_ms=0)
    window.close()
    assert window.deadline_ms is None
    assert not window.delayed
