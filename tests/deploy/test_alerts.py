"""The PrometheusRule as a whole: valid, documented, and one rule for each thing to know."""

import re
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.alert import Alert, Severity
from trunkline.deploy.alerts import alert_groups, alerts
from trunkline.deploy.text import document
from trunkline.testing.clusters import REPORTS, a_cluster, with_reports
from trunkline.testing.kubernetes import problems
from trunkline.testing.promtool import check_rules

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "alerts.md"
ENVIRONMENTS = ["development", "production"]


def every(environment: str) -> list[Alert]:
    groups = alert_groups(load_catalogue(), environment, a_cluster())
    return [alert for _, group in groups for alert in group]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_rules_are_kept_whole_by_a_kubernetes_api(environment: str, schemas: Path) -> None:
    (rule,) = alerts(load_catalogue(), environment, a_cluster())
    assert problems(rule.manifest(), schemas) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_prometheus_takes_the_rules(environment: str, promtool: Path, tmp_path: Path) -> None:
    (rule,) = alerts(load_catalogue(), environment, a_cluster())
    said = check_rules(promtool, rule.manifest()["spec"]["groups"], tmp_path)
    assert not said, said


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_they_come_out_the_same_twice_with_their_reasons(environment: str) -> None:
    (rule,) = alerts(load_catalogue(), environment, a_cluster())
    (again,) = alerts(load_catalogue(), environment, a_cluster())
    assert document(rule) == document(again)
    assert "# The contract's: over 10,000 for 15 minutes." in document(rule)


def test_names_are_used_once() -> None:
    names = [alert.name for alert in every("production")]
    assert sorted(set(names)) == sorted(names)


def test_each_has_its_section_and_each_section_its_alert() -> None:
    page = PAGE.read_text(encoding="utf-8")
    sections = re.findall(r"^### (.+)$", page, re.M)
    assert sorted(sections) == sorted(alert.name for alert in every("production"))
    for alert in every("production"):
        assert alert.runbook == f"docs/how-to/alerts.md#{alert.name.lower()}"


def test_the_contracts_lag_is_watched_by_group_and_topic_for_15_minutes() -> None:
    (lag,) = [alert for alert in every("production") if alert.name == "ConsumerLag"]
    assert lag.expr.startswith("max by (consumergroup, topic) (kafka_consumergroup_lag_sum{")
    assert lag.expr.endswith("> 10000")
    assert lag.lasting == "15m"


def test_alerts_on_one_broker_of_several_are_only_where_there_are_several() -> None:
    names = {environment: {alert.name for alert in every(environment)} for environment in ENVIRONMENTS}
    assert names["production"] - names["development"] == {
        "BrokerMissing",
        "UnderReplicated",
        "UnderMinInSync",
        "UncleanElection",
    }
    assert names["development"] <= names["production"]


def test_only_what_this_version_runs_is_expected_to_run() -> None:
    (rule,) = alerts(with_reports(), "production", a_cluster())
    assert '"tenant-service"' in document(rule)
    assert REPORTS not in document(rule)


def test_what_is_critical_says_what_to_do() -> None:
    for alert in every("production"):
        description = alert.rule("production")["annotations"]["description"]
        assert description.startswith(alert.summary), alert.name
        assert len(alert.action) > len("look at the log"), alert.name
        assert not alert.action.endswith("."), alert.name
    assert {alert.severity for alert in every("production")} == set(Severity)
