"""When a consumer stops by itself."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.breaker import Breaker


def test_one_success_in_between_keeps_it_closed() -> None:
    breaker = Breaker(3)
    assert not breaker.would_open([False, False, True, False, False])
    assert breaker.would_open([False, False, True, False, False, False])


def test_only_recorded_failures_count_for_the_next_batch() -> None:
    breaker = Breaker(3)
    assert not breaker.would_open([False, False])
    assert not breaker.would_open([False, False])
    breaker.record([False, False])
    assert breaker.failures_in_a_row == 2
    assert breaker.would_open([False])


def test_with_a_limit_of_zero_it_never_opens() -> None:
    breaker = Breaker(0)
    assert not breaker.would_open([False] * 1_000)
    breaker.record([False] * 1_000)
    assert not breaker.would_open([False])


@given(st.lists(st.lists(st.booleans(), max_size=6), max_size=8), st.integers(1, 8))
def test_batches_do_not_matter(batches: list[list[bool]], limit: int) -> None:
    """However outcomes are cut into batches, it opens exactly when there are `limit` failures in a row."""
    breaker = Breaker(limit)
    opened = False
    for batch in batches:
        opened = opened or breaker.would_open(batch)
        breaker.record(batch)
    text = "".join("+" if success else "-" for batch in batches for success in batch)
    assert opened == ("-" * limit in text)
