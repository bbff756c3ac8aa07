"""A producer's retry is recognised, its gap refused, its old self fenced."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.broker.log.errors import AppendRefused
from trunkline.broker.log.producers import (
    BATCHES_REMEMBERED,
    SEQUENCE_MODULUS,
    ProducerBatch,
    Producers,
)
from trunkline.broker.protocol.errors import ErrorCode


def batch(first: int, count: int = 1, *, epoch: int = 0, producer: int = 1) -> ProducerBatch:
    return ProducerBatch(producer, epoch, first, count)


def written(*batches: ProducerBatch) -> Producers:
    producers, offset = Producers(), 0
    for one in batches:
        assert producers.check(one) is None
        producers.record(one, base_offset=offset, timestamp_ms=offset)
        offset += one.record_count
    return producers


def refusal(producers: Producers, one: ProducerBatch) -> ErrorCode:
    with pytest.raises(AppendRefused) as raised:
        producers.check(one)
    return raised.value.error


def test_an_unknown_producer_may_begin_anywhere() -> None:
    assert Producers().check(batch(0)) is None
    assert Producers().check(batch(41)) is None


def test_the_next_batch_follows_the_last_sequence() -> None:
    producers = written(batch(0, 10))
    assert producers.check(batch(10)) is None
    assert refusal(producers, batch(11)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert refusal(producers, batch(9)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_retry_of_any_remembered_batch_gets_its_first_offsets() -> None:
    producers = written(*(batch(10 * number, 10) for number in range(6)))
    for number in range(1, 6):
        original = producers.check(batch(10 * number, 10))
        assert original is not None
        assert (original.base_offset, original.last_offset) == (10 * number, 10 * number + 9)
    assert refusal(producers, batch(0, 10)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_retry_with_other_boundaries_is_no_retry() -> None:
    assert refusal(written(batch(0, 10)), batch(0, 9)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequences_wrap_to_zero() -> None:
    producers = written(batch(SEQUENCE_MODULUS - 2, 3))
    assert producers.check(batch(1)) is None
    assert producers.check(batch(SEQUENCE_MODULUS - 2, 3)) is not None
    assert refusal(producers, batch(0)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_new_epoch_begins_at_zero_and_fences_the_old_one() -> None:
    producers = written(batch(0, 5))
    assert refusal(producers, batch(5, epoch=1)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert producers.check(batch(0, 5, epoch=1)) is None
    producers.record(batch(0, 5, epoch=1), base_offset=5, timestamp_ms=0)
    assert refusal(producers, batch(5)) is ErrorCode.INVALID_PRODUCER_EPOCH
    retry = producers.check(batch(0, 5, epoch=1))
    assert retry is not None
    assert retry.base_offset == 5


def test_producers_do_not_disturb_each_other() -> None:
    producers = written(batch(0, producer=1), batch(0, producer=2), batch(1, producer=1))
    assert producers.check(batch(1, producer=2)) is None
    assert refusal(producers, batch(2, producer=2)) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_an_idle_producer_is_forgotten() -> None:
    producers = written(batch(0, 100, producer=1), batch(0, producer=2))
    producers.expire(idle_since_ms=50)
    assert len(producers) == 1
    assert producers.check(batch(77, producer=1)) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20), st.booleans()), max_size=40))
def test_a_snapshot_at_any_moment_loses_nothing(steps: list[tuple[int, int, bool]]) -> None:
    """Writes, retries and snapshots in any order: every remembered batch is found, at its place."""
    producers, offset = Producers(), 0
    history: dict[int, list[tuple[ProducerBatch, int]]] = {}
    for producer, count, restart in steps:
        past = history.setdefault(producer, [])
        first = past[-1][0].last_sequence + 1 if past else 0
        one = batch(first, count, producer=producer)
        assert producers.check(one) is None
        producers.record(one, base_offset=offset, timestamp_ms=0)
        past.append((one, offset))
        offset += count
        if restart:
            producers = Producers(producers.snapshot())
        for known in history.values():
            for earlier, place in known[-BATCHES_REMEMBERED:]:
                original = producers.check(earlier)
                assert original is not None
                assert original.base_offset == place
