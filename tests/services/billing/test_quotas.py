"""Levels of limits: each once a month, in order, whatever happens before or after."""

from datetime import timedelta
from typing import Any

from trunkline.catalogue.events.tenant import TenantTierChanged

REACHED = "usage.threshold_reached.v1"
EXCEEDED = "usage.quota_exceeded.v1"
FREE = {"limits": {"QUERY_EXECUTIONS": 10}, "thresholds": [50, 80, 100, 120]}


def levels(desk: Any) -> list[int]:
    return [event["level_percent"] for event in desk.told(REACHED)]


def queries(make: Any, *numbers: int, **fields: Any) -> list[Any]:
    return [make.query(number, **fields) for number in numbers]


def test_levels_are_told_of_once_as_usage_reaches_them(desk: Any, make: Any) -> None:
    desk.set("billing.plans.free", FREE)
    desk.feed(make.created("free"))
    for number in range(14):
        desk.feed(make.query(number))
    assert levels(desk) == [50, 80, 100, 120]
    assert [(event["used"], event["limit"]) for event in desk.told(REACHED)] == [
        ("5", "10"),
        ("8", "10"),
        ("10", "10"),
        ("12", "10"),
    ]
    assert [event["used"] for event in desk.told(EXCEEDED)] == ["11"]


def test_one_batch_that_jumps_over_levels_tells_of_each_in_order_at_its_own_event(
    desk: Any, make: Any
) -> None:
    desk.set("billing.plans.free", FREE)
    desk.feed(make.created("free"), *queries(make, *range(14)))
    told = desk.told(REACHED)
    assert [(event["level_percent"], event["used"]) for event in told] == [
        (50, "5"),
        (80, "8"),
        (100, "10"),
        (120, "12"),
    ]
    assert told[0]["reached_at"] == make.query(4).time.isoformat().replace("+00:00", "Z")


def test_one_event_that_jumps_over_levels_tells_of_each_in_order(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.data_scanned_bytes", {"limit": 1_000, "thresholds": [100, 80]})
    desk.feed(make.query(1, bytes_scanned=2_000))
    assert [(event["level_percent"], event["used"]) for event in desk.told(REACHED)] == [
        (80, "2000"),
        (100, "2000"),
    ]
    assert len(desk.told(EXCEEDED)) == 1


def test_ids_and_content_are_the_same_whichever_of_plan_and_usage_comes_first(
    new_desk: Any, make: Any
) -> None:
    one, other = new_desk(), new_desk()
    for desk in (one, other):
        desk.set("billing.plans.free", FREE)
    one.feed(make.created("free"), *queries(make, *range(12)))
    other.feed(*queries(make, *range(12)), size=5)
    assert other.told(REACHED) == []
    other.feed(make.created("free"))
    assert other.told(REACHED) == one.told(REACHED) != []
    assert other.told(EXCEEDED) == one.told(EXCEEDED) != []
    assert one.digest() == other.digest()


def test_a_higher_tier_in_the_middle_of_a_month_holds_for_all_of_it(desk: Any, make: Any) -> None:
    desk.set("billing.plans.free", FREE)
    desk.feed(make.created("free"), *queries(make, *range(5)))
    change = TenantTierChanged(
        name="acme",
        previous_tier="free",
        tier="enterprise",
        effective_at=make.BEGIN + timedelta(days=20),
        actor_id="u-1",
    )
    desk.feed(make.life(change, number=1), *queries(make, *range(5, 20)))
    assert levels(desk) == [50]


def test_a_lower_limit_tells_of_what_is_reached_under_it_already(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 100}, tenant="acme")
    desk.feed(*queries(make, *range(9)), *queries(make, *range(9), tenant="globex"))
    assert levels(desk) == []
    desk.set("billing.quotas.query_executions", {"limit": 10}, tenant="acme")
    assert [(event["level_percent"], event["used"]) for event in desk.told(REACHED)] == [(50, "5"), (80, "8")]


def test_a_level_is_never_told_of_again_after_the_limit_went_up_and_down(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 10})
    desk.feed(*queries(make, *range(5)))
    desk.set("billing.quotas.query_executions", {"limit": 100})
    desk.set("billing.quotas.query_executions", {"limit": 9})
    desk.feed(*queries(make, *range(5, 8)))
    assert levels(desk) == [50, 80]


def test_a_level_that_is_added_is_told_of_at_the_event_that_reached_it(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 10, "thresholds": [100]})
    desk.feed(*queries(make, *range(6)))
    desk.set("billing.quotas.query_executions", {"limit": 10, "thresholds": [20, 100]})
    assert [(event["level_percent"], event["used"]) for event in desk.told(REACHED)] == [(20, "2")]


def test_limits_on_different_users_count_each_user_once(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.active_users", {"limit": 2})
    for number in range(8):
        desk.feed(make.query(number, user_id=f"user-{number // 3}"))
    assert [(event["level_percent"], event["used"]) for event in desk.told(REACHED)] == [
        (50, "1"),
        (80, "2"),
        (100, "2"),
        (120, "3"),
    ]


def test_every_month_has_its_own_levels(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 1, "thresholds": [100]})
    desk.feed(make.query(1), make.query(2, at=make.BEGIN - timedelta(days=10)))
    assert [event["period"] for event in desk.told(REACHED)] == ["2026-11", "2026-10"]


def test_two_instances_tell_once(desk: Any, make: Any) -> None:
    desk.set("billing.quotas.query_executions", {"limit": 2, "thresholds": [100]})
    desk.feed(*queries(make, *range(2)))
    other = desk.restarted()
    other.keeper.look()
    desk.keeper.look()
    assert levels(desk) == [100]
