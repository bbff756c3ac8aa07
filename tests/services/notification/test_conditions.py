"""Fields are compared as people mean it."""

from typing import Any

import msgspec
import pytest

from trunkline.services.notification.conditions import Matcher
from trunkline.services.settings.notification import Condition

DATA = {
    "severity": "error",
    "score": 0.9,
    "used": "1000412",
    "ok": True,
    "rows": 1,
    "nothing": None,
    "facets": {"owner": {"team": "core"}},
}


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ({}, True),
        ({"severity": "error"}, True),
        ({"severity": ["warning", "error"]}, True),
        ({"severity": ["warning"]}, False),
        ({"severity": {"none_of": ["warning"]}}, True),
        ({"severity": {"prefix": "err"}}, True),
        ({"severity": {"ne": "error"}}, False),
        ({"score": {"ge": 0.9}}, True),
        ({"score": {"gt": 0.9}}, False),
        ({"score": {"gt": 0.5, "lt": 0.95}}, True),
        ({"used": {"gt": 1_000_000}}, True),
        ({"used": {"le": 1_000_000}}, False),
        ({"severity": {"gt": 1}}, False),
        ({"ok": True}, True),
        ({"ok": 1}, False),
        ({"rows": True}, False),
        ({"nothing": None}, True),
        ({"facets.owner.team": "core"}, True),
        ({"facets.owner.name": "core"}, False),
        ({"facets.owner.name": {"ne": "core"}}, True),
        ({"severity": "error", "score": {"lt": 0.5}}, False),
    ],
)
def test_a_condition_holds_when_every_field_is_as_wanted(where: dict[str, Any], holds: bool) -> None:
    condition = msgspec.convert({"types": ["quality.*"], "where": where}, Condition)
    reason = Matcher(condition).why_not("quality.check_failed.v1", DATA)
    assert (reason is None) == holds


def test_the_reason_names_field_value_and_wish() -> None:
    condition = msgspec.convert({"types": ["quality.*"], "where": {"score": {"ge": 0.95}}}, Condition)
    assert Matcher(condition).why_not("quality.check_failed.v1", DATA) == "score is 0.9, wanted ≥ 0.95"
    assert "it is about" in str(Matcher(condition).why_not("tenant.created.v1", DATA))
