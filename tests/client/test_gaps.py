"""Offsets without a record: told as lost where retention was the reason, and only there."""

from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.gaps import LOOK_SECONDS, Gaps
from trunkline.client.kafka import Partition
from trunkline.codec import Record

KEY: Partition = ("t", 0)


def records(*offsets: int) -> list[Record]:
    return [Record("t", 0, offset, 0, None, None, ()) for offset in offsets]


class Log:
    """Begins at `low`; `error` is what asking for that comes to."""

    def __init__(self, low: int) -> None:
        self.low = low
        self.error: Exception | None = None
        self.asked = 0

    def bounds(self, keys: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return dict.fromkeys(keys, (self.low, 10_000))


def test_a_log_without_gaps_is_never_asked_about() -> None:
    gaps, log = Gaps(), Log(low=100)
    gaps.passed(KEY, 5, records(5, 6, 7))
    assert gaps.expired(log.bounds, 0.0) == {}
    assert log.asked == 0


def test_what_lies_before_the_first_offset_in_the_log_is_lost() -> None:
    gaps, log = Gaps(), Log(low=100)
    gaps.passed(KEY, 5, records(5, 6, 100, 101))
    assert gaps.expired(log.bounds, 0.0) == {KEY: 93}
    assert gaps.expired(log.bounds, 10.0) == {}


def test_a_gap_that_a_transaction_or_compaction_left_is_no_loss() -> None:
    gaps, log = Gaps(), Log(low=3)
    gaps.passed(KEY, 5, records(5, 7, 9))
    assert gaps.expired(log.bounds, 0.0) == {}
    assert log.asked == 1


def test_gaps_are_asked_about_now_and_then_and_kept_while_nobody_answers() -> None:
    gaps, log = Gaps(), Log(low=8)
    log.error = ClusterUnavailable("away")
    gaps.passed(KEY, 5, records(8))
    assert gaps.expired(log.bounds, 0.0) == {}
    log.error = None
    gaps.passed(("t", 1), 2, records(4))
    assert gaps.expired(log.bounds, LOOK_SECONDS / 2) == {}
    assert gaps.expired(log.bounds, LOOK_SECONDS) == {KEY: 3, ("t", 1): 2}


def test_of_a_topic_that_is_gone_nothing_is_told() -> None:
    gaps, log = Gaps(), Log(low=8)
    log.error = KafkaFailed("UNKNOWN_TOPIC_OR_PART", "gone")
    gaps.passed(KEY, 5, records(8))
    assert gaps.expired(log.bounds, 0.0) == {}
    log.error = None
    assert gaps.expired(log.bounds, 10.0) == {}


@given(
    offsets=st.lists(st.integers(0, 60), min_size=1, max_size=30, unique=True).map(sorted),
    expected=st.integers(0, 60),
    low=st.integers(0, 60),
)
def test_exactly_the_offsets_before_the_log_that_no_record_had_are_lost(
    offsets: list[int], expected: int, low: int
) -> None:
    offsets = [offset for offset in offsets if offset >= expected]
    if not offsets:
        return
    gaps, log = Gaps(), Log(low=low)
    gaps.passed(KEY, expected, records(*offsets))
    missing = set(range(expected, offsets[-1])) - set(offsets)
    lost = sum(offset < low for offset in missing)
    assert gaps.expired(log.bounds, 0.0).get(KEY, 0) == lost
