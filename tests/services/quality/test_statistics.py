"""What is unusual, by its history."""

import random
from statistics import pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.services.quality.statistics import WINDOWS_MIN, Verdict, judge, season, spread_of
from trunkline.services.quality.windows import DAY_US, Series, Window

THRESHOLD = 3.5


def volume(day: int, rows: int) -> Window:
    return Window(asset="a", width_us=DAY_US, start_us=day * DAY_US, writes=1, measured=1, rows_written=rows)


def rates(day: int, failed: int, queries: int) -> Window:
    return Window(asset="a", width_us=DAY_US, start_us=day * DAY_US, reads=queries - failed, failures=failed)


def verdict(metric: Series, windows: list[Window]) -> Verdict | None:
    return judge(metric, windows[-1], windows[:-1], THRESHOLD)


def noisy(number: int, *, seed: int = 1) -> list[Window]:
    rng = random.Random(seed)
    return [volume(day, round(1_000 * rng.lognormvariate(0, 0.05))) for day in range(number)]


def test_there_is_no_word_before_fourteen_windows() -> None:
    assert verdict("rows_written", [*noisy(WINDOWS_MIN - 1), volume(99, 1)]) is None
    assert verdict("rows_written", [*noisy(WINDOWS_MIN), volume(99, 1)]) is not None


@pytest.mark.parametrize(("rows", "unusual"), [(1_000, False), (650, True), (1_500, True), (0, True)])
def test_a_volume_far_from_the_usual_is_an_anomaly(rows: int, unusual: bool) -> None:
    found = verdict("rows_written", [*noisy(40), volume(40, rows)])
    assert found is not None
    assert found.unusual is unusual
    assert (found.low <= found.observed <= found.high) is not unusual


def test_what_never_varied_may_begin_to_a_little() -> None:
    history = [volume(day, 1_000) for day in range(30)]
    small, large = (verdict("rows_written", [*history, volume(30, rows)]) for rows in (1_040, 1_200))
    assert small is not None
    assert large is not None
    assert (small.unusual, large.unusual) == (False, True)


def test_past_anomalies_do_not_hide_the_next() -> None:
    history = noisy(40)
    for day in (5, 12, 19, 26, 33):
        history[day] = volume(day, 10)
    found = verdict("rows_written", [*history, volume(40, 650)])
    assert found is not None
    assert found.unusual


def test_days_of_the_week_are_compared_with_their_like() -> None:
    rng = random.Random(3)
    weekly = [
        volume(day, round((400 if day % 7 >= 5 else 1_000) * rng.lognormvariate(0, 0.05)))
        for day in range(42)
    ]
    for day, rows, unusual in ((42, 1_000, False), (47, 400, False), (42, 400, True), (47, 1_000, True)):
        found = verdict("rows_written", [*weekly, volume(day, rows)])
        assert found is not None
        assert found.unusual is unusual, (day, rows)


def test_a_season_is_not_seen_where_there_is_none() -> None:
    rng = random.Random(5)
    assert season([(day % 7, rng.gauss(0, 1)) for day in range(70)]) == {}


def test_a_burst_of_failures_is_an_anomaly_and_a_single_one_is_not() -> None:
    rng = random.Random(7)
    history = [rates(day, rng.random() < 0.3, 40) for day in range(30)]
    one, many = (verdict("failure_rate", [*history, rates(30, failed, 40)]) for failed in (1, 12))
    assert one is not None
    assert many is not None
    assert (one.unusual, many.unusual) == (False, True)


def test_only_slower_is_worse() -> None:
    rng = random.Random(9)

    def timed(day: int, log_sum: int) -> Window:
        return Window(asset="a", width_us=DAY_US, start_us=day * DAY_US, reads=1, timed=1, log_sum=log_sum)

    history = [timed(day, round(1e6 * rng.gauss(7, 0.1))) for day in range(30)]
    slow, fast = (verdict("latency", [*history, timed(30, log)]) for log in (8_500_000, 5_500_000))
    assert slow is not None
    assert fast is not None
    assert (slow.unusual, fast.unusual, fast.low) == (True, False, 0.0)


def test_the_spread_of_normal_values_is_their_standard_deviation() -> None:
    rng = random.Random(11)
    values = [rng.gauss(5, 2) for _ in range(120)]
    assert spread_of(values) == pytest.approx(pstdev(values), rel=0.1)
    assert spread_of([*values[:70], *[1e9] * 50]) < 20


@given(
    st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 10**6)), min_size=15, max_size=40),
    st.sampled_from(["rows_written", "failure_rate", "latency"]),
)
def test_every_verdict_fits_into_an_event(values: list[tuple[int, int]], metric: Series) -> None:
    windows = [
        Window(
            asset="a",
            width_us=DAY_US,
            start_us=day * DAY_US,
            reads=few,
            failures=many % 100,
            measured=1,
            rows_written=many,
            timed=1,
            log_sum=min(many, 37_000_000),
        )
        for day, (many, few) in enumerate(values)
    ]
    found = verdict(metric, windows)
    if found is not None:
        assert 0.0 <= found.score <= 1.0
        assert all(-1e300 <= one <= 1e300 for one in (found.observed, found.low, found.high))
