"""Partitions that ought to be read and cannot be."""

from trunkline.client.kafka import Fetching, Partition
from trunkline.client.stuck import NO_LEADER, Stuck

KEY: Partition = ("t", 0)


def fetching(position: int, end: int, *, leader: int = 1, queued: int = 0) -> dict[Partition, Fetching]:
    return {KEY: Fetching(leader=leader, queued=queued, position=position, end=end)}


def test_records_that_are_not_handed_out_are_told_with_the_broker_once_the_limit_has_passed() -> None:
    stuck = Stuck(limit=20)
    assert stuck.look({KEY: 5}, fetching(5, 9), 0.0) is None
    assert stuck.look({KEY: 5}, fetching(5, 9), 19.0) is None
    why = stuck.look({KEY: 5}, fetching(5, 9), 20.0)
    assert why is not None
    assert "broker 1 does not hand out the records of t/0 from offset 5 on" in why
    # The text stays, so that it is told once.
    assert stuck.look({KEY: 5}, fetching(5, 12), 90.0) == why
    assert stuck.look({KEY: 6}, fetching(6, 12), 92.0) is None


def test_a_partition_that_no_broker_leads_is_told_even_if_nothing_is_known_to_be_in_it() -> None:
    stuck = Stuck(limit=20)
    assert stuck.look({KEY: 5}, fetching(5, 5, leader=NO_LEADER), 0.0) is None
    why = stuck.look({KEY: 5}, fetching(5, 5, leader=NO_LEADER), 20.0)
    assert why is not None
    assert "no broker leads t/0" in why
    assert stuck.look({KEY: 5}, fetching(5, 5), 22.0) is None


def test_whoever_moves_has_read_everything_or_has_records_here_is_not_stuck() -> None:
    stuck = Stuck(limit=20)
    for now in range(0, 100, 10):
        assert stuck.look({KEY: now}, fetching(50, 900), float(now)) is None  # What is applied moves.
    for now in range(100, 200, 10):
        assert stuck.look({KEY: 5}, fetching(now, 900), float(now)) is None  # What is fetched moves.
    for now in range(200, 300, 10):
        # Behind the last record there is the end of a transaction; the library is past it.
        assert stuck.look({KEY: 8}, fetching(9, 9), float(now)) is None
    for now in range(300, 400, 10):
        assert stuck.look({KEY: 5}, fetching(50, 900, queued=45), float(now)) is None


def test_a_partition_that_waits_for_something_else_or_went_to_another_member_starts_anew() -> None:
    stuck = Stuck(limit=20)
    stuck.look({KEY: 5}, fetching(5, 9), 0.0)
    stuck.look({}, fetching(5, 9), 10.0)
    assert stuck.look({KEY: 5}, fetching(5, 9), 20.0) is None
    assert stuck.look({KEY: 5}, {}, 40.0) is None
