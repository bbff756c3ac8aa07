import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.bench.figures import Better, figure, percentile


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.integers(1, 100))
def test_a_percentile_is_a_sample_that_enough_others_do_not_exceed(
    samples: list[float], percent: int
) -> None:
    found = percentile(samples, percent)
    assert found in samples
    assert sum(sample <= found for sample in samples) * 100 >= percent * len(samples)
    smaller = [sample for sample in samples if sample < found]
    assert len(smaller) * 100 < percent * len(samples)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_of_a_hundred_samples_is_the_sample_of_that_rank(percent: int, expected: int) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_a_figure_is_the_median_of_its_rounds_beside_that_of_its_peer() -> None:
    found = figure(
        "part", "what", samples=[9, 1, 2.00001], unit="ms", better="less", reference=[4, 8], peer="peer"
    )
    assert (found.value, found.reference, found.ratio, found.peer) == (2.0, 6.0, 0.3333, "peer")
    assert found.met is None


@pytest.mark.parametrize(
    ("better", "value", "met"),
    [("less", 5, True), ("less", 5.1, False), ("more", 5, True), ("more", 4, False)],
)
def test_a_target_is_met_from_its_own_side(better: Better, value: float, met: bool) -> None:
    assert figure("part", "what", samples=[value], unit="ms", better=better, target=5).met is met


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    found = figure("part", "what", samples=[1], unit="ms", better="less", peer="absent")
    assert (found.reference, found.ratio) == (None, None)
