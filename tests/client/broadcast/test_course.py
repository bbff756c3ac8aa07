"""When an instance may say that it has read everything."""

from trunkline.client.broadcast.course import NEVER, Course, Sighting
from trunkline.codec import Record


def sighting(at: float, *ends: int, topic_id: str = "one", lows: tuple[int, ...] = ()) -> Sighting:
    starts = lows or (0,) * len(ends)
    return Sighting(topic_id=topic_id, bounds=dict(enumerate(zip(starts, ends, strict=True))), at=at)


def record(partition: int, offset: int) -> Record:
    return Record("t", partition, offset, 1, None, None, ())


def test_every_partition_is_read_from_its_first_record() -> None:
    course = Course()
    assignment = course.seen(sighting(1.0, 5, 9, lows=(2, 0)))
    assert assignment is not None
    assert (assignment.offsets, assignment.fresh) == ({0: 2, 1: 0}, True)
    assert not course.current
    assert course.current_at == NEVER


def test_it_is_current_when_the_ends_it_was_told_of_are_read() -> None:
    course = Course()
    course.seen(sighting(1.0, 2, 1))
    course.read([record(0, 0), record(0, 1)], {})
    assert course.current_at == NEVER
    course.read([record(1, 0)], {})
    assert course.current_at == 1.0


def test_an_end_that_was_met_counts_even_where_the_last_offsets_hold_no_record() -> None:
    course = Course()
    course.seen(sighting(1.0, 4))
    course.read([record(0, 0)], {0: 4})
    assert course.current
    assert course.positions == {0: 4}


def test_an_empty_topic_is_read_at_once() -> None:
    course = Course()
    course.seen(sighting(1.0, 0, 0))
    assert course.current


def test_a_consumer_that_silently_gets_nothing_stops_being_current() -> None:
    course = Course()
    course.seen(sighting(1.0, 1))
    course.read([record(0, 0)], {})
    course.seen(sighting(2.0, 1))
    assert course.current_at == 2.0
    course.seen(sighting(3.0, 2))
    assert not course.current
    assert course.current_at == 2.0


def test_a_broker_that_has_not_heard_of_the_new_partitions_changes_nothing() -> None:
    course = Course()
    course.seen(sighting(1.0, 1, 1))
    course.read([record(0, 0), record(1, 0)], {})
    assert course.seen(sighting(2.0, 9)) is None
    assert course.current_at == 1.0
    assert course.seen(sighting(3.0, 1, 1)) is None
    assert course.current_at == 3.0


def test_a_partition_that_was_added_is_read_from_its_beginning_and_the_others_go_on() -> None:
    course = Course()
    course.seen(sighting(1.0, 1))
    course.read([record(0, 0)], {})
    assignment = course.seen(sighting(2.0, 1, 3))
    assert assignment is not None
    assert (assignment.offsets, assignment.fresh) == ({0: 1, 1: 0}, False)
    assert not course.current
    assert course.seen(sighting(3.0, 1, 3)) is None


def test_a_topic_that_was_created_again_is_read_from_its_beginning() -> None:
    course = Course()
    course.seen(sighting(1.0, 7))
    course.read([record(0, 6)], {})
    assignment = course.seen(sighting(2.0, 3, topic_id="two"))
    assert assignment is not None
    assert (assignment.offsets, assignment.fresh) == ({0: 0}, True)
    assert course.current_at == NEVER


def test_a_topic_that_lost_partitions_is_another_one_even_without_an_id() -> None:
    course = Course()
    course.seen(sighting(1.0, 0, 0, topic_id=""))
    assignment = course.seen(sighting(2.0, 0, topic_id=""))
    assert assignment is not None
    assert assignment.fresh


def test_a_log_that_lost_its_tail_is_followed_from_where_it_is_read_again() -> None:
    course = Course()
    course.seen(sighting(1.0, 9))
    course.read([record(0, 8)], {})
    course.seen(sighting(2.0, 3))
    course.read([record(0, 0)], {})
    course.seen(sighting(3.0, 3))
    assert course.positions == {0: 1}
    assert not course.current


def test_a_new_consumer_begins_at_the_beginning() -> None:
    course = Course()
    course.seen(sighting(1.0, 2))
    course.read([record(0, 1)], {})
    course.restarted()
    assignment = course.seen(sighting(2.0, 2))
    assert assignment is not None
    assert (assignment.offsets, assignment.fresh) == ({0: 0}, True)
