"""Every metric that an alert or a panel reads is one that somebody exports."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.client.exporter import FAMILIES
from trunkline.deploy.alerts import alert_groups
from trunkline.deploy.dashboards import all_dashboards
from trunkline.deploy.foreign_metrics import FOREIGN_METRICS, STRIMZI_DEFAULT_ALLOW_LIST
from trunkline.deploy.kafka import kafka
from trunkline.testing.clusters import a_cluster
from trunkline.testing.promql import metrics_in
from trunkline.testing.promtool import check_expressions

SEEN = Path(__file__).with_name("kafka-4.3.1-metrics.txt")
DOCS = Path(__file__).parents[2] / "docs"
SOURCES = Path(__file__).parents[2] / "src" / "trunkline"
ENVIRONMENTS = ["development", "production"]

OF_SERVICES = {
    "trunkline_ended_tenants": "services/kit/ending/__init__.py",
    "trunkline_query_plan_seconds": "services/query/metrics.py",
}
"""Those that the general page leaves to the page of a service or a concept, and where they are made."""


def ours() -> set[str]:
    page = (DOCS / "reference" / "metrics.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_]+)` \| (?:gauge|counter|histogram) \|", page, re.M))
    return listed | OF_SERVICES.keys()


def expressions(environment: str) -> Iterator[tuple[str, str]]:
    """What is named in an alert or in a panel, with where."""
    catalogue, cluster = load_catalogue(), a_cluster()
    for _, alerts in alert_groups(catalogue, environment, cluster):
        for alert in alerts:
            yield alert.name, alert.expr
    for name, dashboard in all_dashboards(catalogue, environment, cluster):
        for row in dashboard.rows:
            for panel in row.panels:
                for query in panel.queries:
                    yield f"{name}: {panel.title}", query.expr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_metric_exists(environment: str) -> None:
    known = ours() | FOREIGN_METRICS.keys()
    unknown = {(where, name) for where, expr in expressions(environment) for name in metrics_in(expr) - known}
    assert unknown == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_expression_reads_a_metric_and_parses(environment: str, promtool: Path, tmp_path: Path) -> None:
    found = list(expressions(environment))
    assert [where for where, expr in found if not metrics_in(expr)] == []
    said = check_expressions(promtool, [expr for _, expr in found], tmp_path)
    assert not said, said


def test_no_foreign_metric_is_listed_that_nobody_reads() -> None:
    read = {
        name
        for environment in ENVIRONMENTS
        for _, expr in expressions(environment)
        for name in metrics_in(expr)
    }
    assert FOREIGN_METRICS.keys() - read == set()


def test_none_of_ours_is_listed_as_foreign() -> None:
    assert FOREIGN_METRICS.keys() & ({family.name for family in FAMILIES} | ours()) == set()


def test_strimzi_exports_every_metric_of_kafka_by_default() -> None:
    names = [
        name.removesuffix("_total") for name, metric in FOREIGN_METRICS.items() if metric.source == "Kafka"
    ]
    assert len(names) > 5
    left_out = [
        name
        for name in names
        if not any(re.fullmatch(pattern, name) for pattern in STRIMZI_DEFAULT_ALLOW_LIST)
    ]
    assert left_out == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_brokers_export_strimzis_list_and_lags_come_from_one_exporter(environment: str) -> None:
    catalogue = load_catalogue()
    made = kafka(catalogue, environment, catalogue.cluster(environment))
    (spec,) = [one.manifest()["spec"] for one in made if one.kind == "Kafka"]
    assert spec["kafka"]["metricsConfig"] == {"type": "strimziMetricsReporter"}
    assert "kafkaExporter" not in spec


def test_a_real_broker_has_every_metric_of_kafka_with_its_type_and_labels() -> None:
    lines = SEEN.read_text(encoding="utf-8").splitlines()
    seen = {name: rest for name, *rest in (line.split() for line in lines if not line.startswith("#"))}
    listed = {name: metric for name, metric in FOREIGN_METRICS.items() if metric.source == "Kafka"}
    assert {name: [metric.type, *sorted(metric.labels)] for name, metric in listed.items()} == {
        name: seen.get(name) for name in listed
    }


@pytest.mark.parametrize(("name", "module"), OF_SERVICES.items())
def test_a_metric_of_a_service_is_made_where_it_is_said_to_be(name: str, module: str) -> None:
    assert f'"{name}"' in (SOURCES / module).read_text(encoding="utf-8")
