"""What Prometheus is told to scrape: valid, complete, and labelled as alerts and dashboards expect it."""

import re
from pathlib import Path
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.exporter import exporter
from trunkline.deploy.labels import METRICS_PORT_NAME, service_labels
from trunkline.deploy.pod_monitors import pod_monitors
from trunkline.deploy.scope import Scope
from trunkline.testing.clusters import a_cluster
from trunkline.testing.kubernetes import problems


def specs(**changes: Any) -> dict[str, Any]:
    made = pod_monitors(load_catalogue(), "production", a_cluster(**changes))
    return {one.name: one.manifest()["spec"] for one in made}


def test_they_are_kept_whole_by_a_kubernetes_api(schemas: Path) -> None:
    made = list(pod_monitors(load_catalogue(), "production", a_cluster()))
    assert {one.name: problems(one.manifest(), schemas) for one in made} == {one.name: [] for one in made}


@pytest.mark.parametrize(
    ("monitor", "component", "ports"),
    [
        ("backbone-kafka", "kafka", ["tcp-prometheus"]),
        ("backbone-entity-operator", "entity-operator", ["healthcheck-to", "healthcheck-uo"]),
        ("backbone-cruise-control", "cruise-control", ["tcp-prometheus"]),
    ],
)
def test_strimzis_pods_are_scraped_at_its_ports(monitor: str, component: str, ports: list[str]) -> None:
    spec = specs()[monitor]
    assert spec["selector"]["matchLabels"] == {
        "strimzi.io/cluster": "backbone",
        "strimzi.io/component-type": component,
    }
    assert [endpoint["port"] for endpoint in spec["podMetricsEndpoints"]] == ports
    assert spec["namespaceSelector"] == {"matchNames": ["kafka"]}


def test_without_cruise_control_there_is_no_monitor_of_it() -> None:
    assert specs().keys() - specs(cruise_control=False).keys() == {"backbone-cruise-control"}


def test_the_cluster_operator_is_found_in_any_namespace() -> None:
    assert specs()["backbone-cluster-operator"]["namespaceSelector"] == {"any": True}


def test_every_services_pod_is_selected_and_no_other() -> None:
    spec = specs()["backbone-services"]
    selected = spec["selector"]["matchLabels"].items()
    for service in load_catalogue().services:
        assert selected <= service_labels(service).items()
    assert not selected <= {"app.kubernetes.io/part-of": "trunkline", "app.kubernetes.io/name": "x"}.items()
    assert spec["namespaceSelector"] == {"matchNames": ["services"]}
    assert [endpoint["port"] for endpoint in spec["podMetricsEndpoints"]] == [METRICS_PORT_NAME]


def test_the_exporters_pod_is_selected_at_the_port_that_it_serves() -> None:
    (pods,) = [
        one.manifest()["spec"]["template"]
        for one in exporter(load_catalogue(), "production", a_cluster())
        if one.kind == "Deployment"
    ]
    spec = specs()["backbone-exporter"]
    assert spec["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
    ports = {port["name"] for container in pods["spec"]["containers"] for port in container["ports"]}
    assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} <= ports


def test_the_labels_that_alerts_select_by_are_those_that_the_monitors_give() -> None:
    (regex,) = {
        endpoint["relabelings"][0]["regex"] for endpoint in specs()["backbone-kafka"]["podMetricsEndpoints"]
    }
    scope = Scope(a_cluster())
    selectors = (
        scope.brokers("up") + scope.controllers("up") + scope.kafka("up", 'strimzi_io_component_type="x"')
    )
    used = set(re.findall(r"strimzi_io_\w+", selectors))
    assert used == {
        "strimzi_io_cluster",
        "strimzi_io_component_type",
        "strimzi_io_broker_role",
        "strimzi_io_controller_role",
    }
    for label in used:
        assert re.fullmatch(regex, f"__meta_kubernetes_pod_label_{label}")
    for monitor in ("backbone-services", "backbone-exporter"):
        (endpoint,) = specs()[monitor]["podMetricsEndpoints"]
        assert endpoint["relabelings"][0]["targetLabel"] == "app"
