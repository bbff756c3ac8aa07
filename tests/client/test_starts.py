"""Where a partition is read from."""

from trunkline.client.starts import decide
from trunkline.client.store.position import Lane

LANE = Lane(group="g", cluster_id="c", topic="t", topic_id="i", partition=0)


def test_a_group_that_has_processed_nothing_starts_with_the_oldest_record() -> None:
    start = decide(LANE, None, 3, 9)
    assert (start.expected, start.offset) == (None, 3)


def test_the_stores_position_is_the_start() -> None:
    for stored in (3, 5, 9):
        start = decide(LANE, stored, 3, 9)
        assert (start.expected, start.offset, start.expired, start.rewound_from) == (stored, stored, 0, None)


def test_records_that_retention_took_are_counted() -> None:
    start = decide(LANE, 1, 3, 9)
    assert (start.expected, start.offset, start.expired) == (1, 3, 2)


def test_a_log_that_ends_before_the_position_is_read_again() -> None:
    start = decide(LANE, 12, 3, 9)
    assert (start.expected, start.offset, start.rewound_from) == (3, 3, 12)
