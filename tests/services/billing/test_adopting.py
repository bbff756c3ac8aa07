"""Meters that settings add and change, and what that does to what was counted before."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import update

from trunkline.services.billing import recounting
from trunkline.services.billing.tables import USAGE_AGG

ROWS = {
    "event_type": "query.completed.v1",
    "aggregation": "sum",
    "value": "rows_returned",
    "unit": "rows",
}


def differences(desk: Any) -> list[Any]:
    with desk.store.read() as tx:
        books = desk.keeper.books(tx)
        months = recounting.months(tx)
        return [
            one for month in months for one in recounting.compare(tx, books, month, books.meters.newest())
        ]


def test_a_new_meter_counts_what_was_there_before_it(desk: Any, make: Any) -> None:
    desk.feed(make.query(1, rows_returned=5))
    desk.set("billing.meters.rows_returned", ROWS)
    desk.feed(make.query(2, rows_returned=7))
    assert desk.used()["ROWS_RETURNED"] == "12"
    assert differences(desk) == []


def test_a_new_version_holds_for_what_happened_from_its_time_on(desk: Any, make: Any) -> None:
    desk.set("billing.meters.rows", ROWS)
    desk.feed(*(make.query(number, rows_returned=10, rows_scanned=1) for number in range(4)))
    change = {"version": 2, "value": ["rows_returned", "rows_scanned"]}
    since = (make.BEGIN + timedelta(seconds=2)).isoformat()
    desk.set("billing.meters.rows", ROWS | change | {"effective_from": since})
    assert desk.used()["ROWS"] == str(10 + 10 + 11 + 11)
    desk.feed(make.query(9, rows_returned=10, rows_scanned=1), make.query(0, tenant="other"))
    assert desk.used()["ROWS"] == str(10 + 10 + 11 + 11 + 11)
    assert differences(desk) == []


def test_a_change_of_the_past_tells_of_levels_that_are_reached_now(desk: Any, make: Any) -> None:
    desk.set("billing.meters.rows", ROWS)
    desk.set("billing.quotas.rows", {"limit": 30, "thresholds": [100]})
    desk.feed(*(make.query(number, rows_returned=1, rows_scanned=9) for number in range(4)))
    desk.set(
        "billing.meters.rows",
        ROWS | {"version": 2, "value": "rows_scanned", "effective_from": "2026-01-01T00:00:00Z"},
    )
    (told,) = desk.told("usage.threshold_reached.v1")
    assert (told["meter"], told["used"]) == ("ROWS", "36")


def test_settings_that_cannot_follow_are_refused_and_the_old_ones_stay(desk: Any, make: Any) -> None:
    desk.set("billing.meters.rows", ROWS)
    for change, reason in (
        ({"value": "rows_scanned"}, "never changes"),
        ({"version": 2, "value": "rows_scanned"}, "effective_from"),
        ({"version": 2, "unit": "lines", "effective_from": "2026-01-01T00:00:00Z"}, "stays one"),
        ({"value": "nonsense"}, "has no field 'nonsense'"),
    ):
        desk.set("billing.meters.rows", ROWS | change)
        (refused,) = desk.keeper.refused
        assert reason in refused.reason
    desk.feed(make.query(1, rows_returned=3, rows_scanned=100))
    assert desk.used()["ROWS"] == "3"


def test_a_bad_plan_leaves_the_one_before_in_force(desk: Any, make: Any) -> None:
    desk.set("billing.plans.free", {"limits": {"QUERY_EXECUTIONS": 2}, "thresholds": [100]})
    desk.set("billing.plans.free", {"limits": {"QUERY_EXECUTIONS": 1.5}})
    assert [refused.key for refused in desk.keeper.refused] == ["billing.plans.free"]
    desk.feed(make.created("free"), make.query(1), make.query(2))
    assert len(desk.told("usage.threshold_reached.v1")) == 1


def test_the_largest_and_the_latest_do_not_depend_on_the_order_of_arrival(new_desk: Any, make: Any) -> None:
    found = set()
    for order in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        desk = new_desk()
        for aggregation in ("max", "latest"):
            desk.set(f"billing.meters.rows_{aggregation}", ROWS | {"aggregation": aggregation})
        for number in order:
            desk.feed(make.query(number, rows_returned={1: 50, 2: 70, 3: 20}[number]))
        used = desk.used()
        found.add((used["ROWS_MAX"], used["ROWS_LATEST"], desk.digest()))
    assert [one[:2] for one in found] == [("70", "20")]


def test_a_number_that_is_not_what_its_facts_come_to_is_found(desk: Any, make: Any) -> None:
    desk.feed(make.query(1), make.query(2))
    assert differences(desk) == []
    with desk.store.write() as tx:
        tx.execute(update(USAGE_AGG).where(USAGE_AGG.c.meter == "QUERY_EXECUTIONS").values(value=Decimal(5)))
    (found,) = differences(desk)
    assert (found.meter, str(found.stored), str(found.counted)) == ("QUERY_EXECUTIONS", "5", "2")
