"""The group of a service."""

import pytest

from trunkline.client.kafka.survey import GroupTold
from trunkline.client.lag import Lag
from trunkline.operate.doctor.findings import Verdict
from trunkline.operate.doctor.group import judge, strangers

NAME = "audit-service"


def lag(partition: int, *, committed: int | None, end: int) -> Lag:
    behind = max(0, end - (committed or 0))
    return Lag(group=NAME, topic="t", partition=partition, committed=committed, end=end, lag=behind)


@pytest.mark.parametrize(
    ("told", "verdict", "said"),
    [
        (
            GroupTold(None, state="STABLE", members=2, coordinator="b:1"),
            Verdict.OK,
            "stable, 2 members, coordinator b:1",
        ),
        (GroupTold(None, state="EMPTY"), Verdict.WARNING, "its offsets are kept"),
        (GroupTold(None, state="DEAD"), Verdict.WARNING, "it has never run here"),
        (GroupTold(None, state="PREPARING_REBALANCING", members=3), Verdict.WARNING, "share out"),
        (GroupTold(None, "GROUP_AUTHORIZATION_FAILED"), Verdict.NOT_CHECKED, "see rights"),
        (GroupTold(None, "GROUP_ID_NOT_FOUND"), Verdict.NOT_CHECKED, "GROUP_ID_NOT_FOUND"),
    ],
)
def test_its_state_is_told(told: GroupTold, verdict: Verdict, said: str) -> None:
    (found,) = judge(NAME, told, [])
    assert found.verdict is verdict
    assert said in found.text


STABLE = GroupTold(None, state="STABLE", members=1)


def test_partitions_without_a_committed_offset_are_counted() -> None:
    _, found = judge(NAME, STABLE, [lag(0, committed=5, end=5), lag(1, committed=None, end=7)])
    assert found.verdict is Verdict.OK
    assert found.text.startswith("7 records behind in 2 partitions; no committed offset in 1 of them")


def test_a_long_lag_is_a_warning() -> None:
    _, found = judge(NAME, STABLE, [lag(0, committed=0, end=10_001)])
    assert found.verdict is Verdict.WARNING


def test_an_offset_beyond_the_end_fails() -> None:
    _, found = judge(NAME, STABLE, [lag(0, committed=9, end=3)])
    assert found.verdict is Verdict.FAILED
    assert "beyond the end of t/0" in found.text


def test_groups_named_like_the_service_are_told() -> None:
    visible = [NAME, "audit-service-old", "audit-service-too", "billing-service"]
    found = list(strangers(NAME, visible, [NAME, "audit-service-too"]))
    assert [one.about for one in found] == ["audit-service-old"]
