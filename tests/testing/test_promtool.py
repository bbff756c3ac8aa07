"""What the trials of alerts are worth: an alert that does something else than it should is told of."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from trunkline.deploy.alert import Alert, Severity
from trunkline.testing.promtool import (
    PromtoolMissing,
    Trial,
    check_expressions,
    check_rules,
    find_promtool,
    try_alerts,
)

ALERT = Alert(
    name="TooHot",
    expr="max by (room) (degrees) > 30",
    lasting="2m",
    severity=Severity.WARNING,
    summary="{{ $labels.room }} has {{ $value }} degrees",
    action="Open a window",
)
TRIAL = Trial(
    alert="TooHot",
    series={'degrees{room="kitchen"}': "20x4 31x5 20x10"},
    quiet_before="6m",
    fires="7m",
    quiet_after="11m",
    labels={"room": "kitchen"},
    value="31",
)
GROUPS = [{"name": "heat", "rules": [ALERT.rule("production")]}]

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")


def said(trial: Trial, directory: Path) -> str:
    return try_alerts(find_promtool(), GROUPS, [trial], directory)


def test_a_trial_that_goes_as_expected_says_nothing(tmp_path: Path) -> None:
    assert said(TRIAL, tmp_path) == ""


@pytest.mark.parametrize(
    "trial",
    [
        replace(TRIAL, fires="6m"),
        replace(TRIAL, quiet_before="8m"),
        replace(TRIAL, quiet_after="9m"),
        replace(TRIAL, labels={"room": "hall"}),
        replace(TRIAL, value="32"),
        replace(TRIAL, series={'degrees{room="kitchen"}': "20x20"}),
    ],
)
def test_a_trial_that_goes_otherwise_is_told_of(trial: Trial, tmp_path: Path) -> None:
    assert "TooHot" in said(trial, tmp_path)


def test_a_rule_that_is_none_is_told_of(tmp_path: Path) -> None:
    broken = [{"name": "heat", "rules": [replace(ALERT, expr="max by degrees").rule("production")]}]
    assert check_rules(find_promtool(), GROUPS, tmp_path) == ""
    assert "parse error" in check_rules(find_promtool(), broken, tmp_path)


def test_an_expression_that_does_not_parse_is_told_of(tmp_path: Path) -> None:
    assert check_expressions(find_promtool(), ["rate(degrees[5m])", "1"], tmp_path) == ""
    assert "parse error" in check_expressions(find_promtool(), ["rate(degrees[5m])", "sum(("], tmp_path)


def test_without_it_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PromtoolMissing, match="apt-get install --no-install-recommends prometheus"):
        find_promtool()
