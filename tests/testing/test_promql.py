"""The metrics that an expression reads, and nothing else that looks like one."""

import pytest

from trunkline.testing.promql import metrics_in


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        ('up{app="or", pod=~"a|b"} == 1', {"up"}),
        ("sum by (group, topic) (increase(failures_total[15m])) > 0", {"failures_total"}),
        ("a unless last_over_time(b[15m] offset 15m)", {"a", "b"}),
        ("max(lag_sum) > 1e4 or vector(0)", {"lag_sum"}),
        ("histogram_quantile(0.99, sum by (le, app) (rate(x_seconds_bucket[5m])))", {"x_seconds"}),
        ("min(expiry_ms) / 1000 - time() < 1728000", {"expiry_ms"}),
        ("(a or b) unless on (app) (c == 1)", {"a", "b", "c"}),
        ('label_replace(vector(1), "app", "x", "", "")', set()),
    ],
)
def test_the_names_in_an_expression(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names
