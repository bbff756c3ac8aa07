"""Which entries of the journal count, and who has to wait for what."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.client.errors import InvalidGrowth
from trunkline.client.growth import plan
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.kafka import partition_of

TOPIC = "query.execution.events"


def begun(
    growth: str = "g1", *, run: str = "run-1", topic_id: str = "t1", before: int = 3, after: int = 6
) -> Growth:
    return plan.begin(
        growth=growth,
        run=run,
        topic=TOPIC,
        topic_id=topic_id,
        before=before,
        after=after,
        max_message_bytes=None,
        at_ms=1,
    )


def then(last: Growth, stage: Stage, *, run: str = "run-1", barriers: dict[int, int] | None = None) -> Growth:
    return plan.follow(last, stage, run=run, at_ms=last.at_ms + 1, barriers=barriers)


def grown(barriers: dict[int, int]) -> Growth:
    return then(then(begun(), Stage.DRAINED, barriers=barriers), Stage.GROWN)


@pytest.mark.parametrize(("before", "after"), [(3, 3), (3, 2), (3, 4), (3, 7), (6, 9), (3, 30_000)])
def test_a_topic_grows_to_a_larger_multiple_only(before: int, after: int) -> None:
    with pytest.raises(InvalidGrowth, match=r"--partitions|may grow to"):
        plan.check_numbers(TOPIC, before=before, after=after)


def test_the_error_names_the_multiples_that_are_near() -> None:
    with pytest.raises(InvalidGrowth, match=r"give --partitions 6 or 9$"):
        plan.check_numbers(TOPIC, before=3, after=8)


@given(st.text(min_size=1), st.integers(1, 64), st.integers(2, 8))
def test_growing_to_a_multiple_moves_a_tenant_to_a_new_partition_or_not_at_all(
    tenant: str, before: int, factor: int
) -> None:
    key = tenant.encode()
    was, is_now = partition_of(key, before), partition_of(key, before * factor)
    assert is_now == was or is_now >= before


def test_a_growth_is_what_its_last_entry_says() -> None:
    first = begun()
    second = then(first, Stage.DRAINED, barriers={0: 4, 1: 0, 2: 9})
    third = then(second, Stage.GROWN)
    assert plan.latest([first, second, third]) == (third,)
    assert third.barriers == {0: 4, 1: 0, 2: 9}
    assert plan.unfinished([third], TOPIC, "t1") == third
    assert plan.unfinished([then(third, Stage.RELEASED)], TOPIC, "t1") is None


def test_of_two_growths_at_once_the_first_in_the_log_counts() -> None:
    mine, other = begun("g1"), begun("g2", after=9)
    late = then(other, Stage.DRAINED)
    assert plan.latest([mine, other, late]) == (mine,)


def test_the_next_growth_counts_once_the_first_is_over() -> None:
    abandoned = then(begun("g1"), Stage.ABANDONED)
    second = begun("g2", after=9)
    assert plan.latest([begun("g1"), abandoned, second]) == (abandoned, second)
    assert plan.of_topic([abandoned, second], TOPIC, "t1") == [second]


def test_a_run_that_was_overtaken_writes_entries_that_do_not_count() -> None:
    first = begun(run="run-1")
    taken_over = then(first, Stage.FENCED, run="run-2")
    too_late = then(first, Stage.DRAINED, run="run-1", barriers={0: 1})
    assert plan.latest([first, taken_over, too_late]) == (taken_over,)


def test_a_topic_that_was_created_anew_has_no_growths() -> None:
    growth = grown({0: 4})
    assert plan.of_topic([growth], TOPIC, "another-id") == []
    assert plan.latest([begun("g1", topic_id="t1"), begun("g2", topic_id="t2")]) == (
        begun("g1", topic_id="t1"),
        begun("g2", topic_id="t2"),
    )


STAGES = st.sampled_from(Stage)


@given(st.lists(st.tuples(st.sampled_from(["g1", "g2"]), STAGES, st.integers(0, 6)), max_size=30))
def test_whatever_is_written_one_growth_at_most_is_under_way_and_stages_go_forward(
    entries: list[tuple[str, Stage, int]],
) -> None:
    log = [msgspec.structs.replace(begun(growth), stage=stage, step=step) for growth, stage, step in entries]
    seen: dict[str, Growth] = {}
    for length in range(len(log) + 1):
        now = plan.latest(log[:length])
        assert sum(growth.unfinished for growth in now) <= 1
        for growth in now:
            before = seen.get(growth.growth)
            if before is not None and before != growth:
                assert growth.step == before.step + 1
                assert before.unfinished
            seen[growth.growth] = growth


def test_a_group_is_behind_by_what_lies_before_the_barriers_and_is_still_in_the_log() -> None:
    committed = {"done": {0: 10, 1: 5}, "behind": {0: 7}, "new": {}}
    assert plan.lags(committed, {0: 10, 1: 5}, {0: 0, 1: 4}) == {"done": 0, "behind": 4, "new": 11}


def test_new_partitions_open_when_every_older_one_is_read_up_to_its_barrier() -> None:
    growth, bounds = grown({0: 10, 1: 5}), {0: (0, 20), 1: (0, 5)}
    assert not plan.is_reached(growth, {0: 10, 1: 4}, bounds)
    assert not plan.is_reached(growth, {0: 12, 1: None}, bounds)
    assert plan.is_reached(growth, {0: 12, 1: 5}, bounds)


def test_records_that_retention_took_or_the_cluster_lost_keep_nothing_closed() -> None:
    growth = grown({0: 10, 1: 5})
    assert plan.is_reached(growth, {0: None, 1: None}, {0: (10, 30), 1: (6, 6)})
    assert plan.is_reached(growth, {0: 10, 1: 3}, {0: (0, 10), 1: (0, 3)})


@pytest.mark.parametrize("stages", [[], [Stage.DRAINED]])
def test_what_a_growth_is_still_adding_cannot_be_read(stages: list[Stage]) -> None:
    growth = begun()
    for stage in stages:
        growth = then(growth, stage, barriers={0: 0})
    assert not plan.is_reached(growth, {0: 0}, {0: (0, 0)})
