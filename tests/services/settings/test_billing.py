"""What `config set` refuses of billing's settings, with the reason."""

from typing import Any

import pytest

from trunkline.errors import InvalidInput
from trunkline.services.settings import billing
from trunkline.services.settings.registry import check

METER: dict[str, Any] = {
    "event_type": "query.completed.v1",
    "aggregation": "sum",
    "value": "rows_returned",
    "unit": "rows",
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"event_type": "query.complete.v1"}, "did you mean query.completed.v1"),
        ({"event_type": "tenant.created.v1"}, "cannot be metered"),
        ({"value": "row_returned"}, "has no field 'row_returned'; did you mean rows_returned"),
        ({"value": "engine"}, "has no whole number there"),
        ({"value": "tables"}, "has no whole number there"),
        ({"value": []}, "sum takes 1 to 4 values"),
        ({"aggregation": "count"}, "a count takes no value"),
        ({"aggregation": "unique", "value": ["user_id", "engine"]}, "unique takes one value"),
        ({"aggregation": "average"}, "Invalid enum value"),
        ({"aggregation": "unique", "value": "user_id", "factor": "2"}, "takes no factor"),
        ({"factor": "0"}, "factor is above 0"),
        ({"factor": 0.5}, "Expected `str`"),
        ({"group_by": ["user_id"]}, "none may be of a person"),
        ({"group_by": ["query_id"]}, "nothing there that events share"),
        ({"group_by": ["tables"]}, "nothing there that events share"),
        ({"group_by": ["nonsense"]}, "has no field 'nonsense'"),
        ({"group_by": ["engine", "engine"]}, "different fields"),
        ({"group_bye": ["engine"]}, "unknown field"),
        ({"version": 0}, "Expected `int` >= 1"),
        ({"effective_from": "2026-01-01T00:00:00"}, "timezone"),
    ],
)
def test_a_bad_meter_is_refused(change: dict[str, Any], reason: str) -> None:
    check("billing.meters.rows", "global", METER)
    with pytest.raises(InvalidInput) as refused:
        check("billing.meters.rows", "global", METER | change)
    assert reason in str(refused.value)
    assert str(refused.value).startswith("billing.meters.rows: ")


@pytest.mark.parametrize(
    ("key", "level", "value", "reason"),
    [
        ("billing.plans.gold", "global", {}, "there is no tier gold"),
        ("billing.plans.free", "global", {"limits": {"LLM_TOKENS": 1.5}}, "Expected `int | str`"),
        ("billing.plans.free", "global", {"limits": {"LLM_TOKENS": "-1"}}, "limits.LLM_TOKENS is -1"),
        ("billing.plans.free", "global", {"limits": {"llm_tokens": 1}}, "in capitals"),
        ("billing.plans.free", "global", {"thresholds": [0]}, "Expected `int` >= 1"),
        ("billing.plans.free", "global", {"currency": "euro"}, "matching regex"),
        ("billing.plans.free", "tenant", {}, "cannot be set on the level tenant"),
        ("billing.quotas.llm_tokens", "tenant", {"limit": -1}, "Expected `int` >= 0"),
        ("billing.quotas.llm_tokens", "tenant", {}, "required field `limit`"),
        ("billing.quotas.llm-tokens", "tenant", {"limit": 1}, "is no name of a meter"),
        ("billing.grace_days", "global", 0, "Expected `int` >= 1"),
        ("billing.nonsense", "global", 1, "is no setting"),
    ],
)
def test_a_bad_plan_quota_or_grace_is_refused(key: str, level: Any, value: object, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(key, level, value)
    assert reason in str(refused.value)


def test_what_is_right_is_taken() -> None:
    check(
        "billing.plans.free", "global", {"limits": {"LLM_TOKENS": "10.5"}, "prices": {"LLM_TOKENS": "0.01"}}
    )
    check("billing.quotas.llm_tokens", "tenant", {"limit": 0, "thresholds": [10, 1000]})
    check("billing.grace_days", "global", 7)


def test_texts_and_lists_are_never_kept() -> None:
    assert "sql" not in billing.kept_fields("query.submitted.v1")
    assert "message" not in billing.kept_fields("query.failed.v1")
    assert "tables" not in billing.kept_fields("query.completed.v1")
