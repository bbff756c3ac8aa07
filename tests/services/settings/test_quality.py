"""What can be configured of data quality."""

from typing import Any

import pytest

from trunkline.errors import InvalidInput
from trunkline.services.settings.registry import check


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("quality.window_minutes", 60),
        ("quality.window_minutes", 10_080),
        ("quality.threshold", 5),
        ("quality.confirmations", 10),
        ("quality.monitors.staging", {"asset": "urn:table:staging.*", "enabled": False}),
        (
            "quality.monitors.orders",
            {"asset": "urn:table:main.orders", "metrics": ["latency"], "threshold": 8},
        ),
        ("quality.promises.orders", {"asset": "urn:table:main.orders", "max_age_minutes": 90}),
    ],
)
def test_what_makes_sense_can_be_set(key: str, value: Any) -> None:
    check(key, "tenant", value)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("quality.window_minutes", 7, "divides it"),
        ("quality.window_minutes", 1, ">= 5"),
        ("quality.threshold", 1, ">= 2"),
        ("quality.monitors.x", {"asset": "urn:table:main.orders"}, "it changes nothing"),
        ("quality.monitors.x", {"asset": "a", "metrics": ["colour"], "enabled": False}, "colour"),
        ("quality.promises.x", {"asset": "orders", "max_age_minutes": 9}, "urn:table:main.orders"),
        ("quality.promises.x", {"asset": "urn:table:main.orders", "max_age_minutes": 0}, ">= 1"),
        ("quality.watch", True, "no setting of the platform"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(key: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check(key, "tenant", value)
