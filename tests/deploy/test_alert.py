"""One alert as a rule."""

from trunkline.deploy.alert import Alert, Severity, grew

ALERT = Alert(
    name="TooHot",
    expr="degrees > 30",
    lasting="2m",
    severity=Severity.CRITICAL,
    summary="It has {{ $value }} degrees",
    action="Open a window",
)


def test_a_rule_says_what_is_the_case_what_to_do_and_where_to_read_on() -> None:
    assert ALERT.rule("production") == {
        "alert": "TooHot",
        "expr": "degrees > 30",
        "for": "2m",
        "labels": {"severity": "critical", "environment": "production"},
        "annotations": {
            "summary": "It has {{ $value }} degrees",
            "description": "It has {{ $value }} degrees. Open a window.",
            "runbook": "docs/how-to/alerts.md#toohot",
        },
    }


def test_a_counter_that_grew_is_found_also_when_it_is_new() -> None:
    assert grew("errors_total", "pod", within="5m") == (
        "sum by (pod) (increase(errors_total[5m])) > 0 or sum by (pod) "
        "(errors_total unless last_over_time(errors_total[5m] offset 5m)) > 0"
    )
