"""The exporter's pod: a principal of its own, and found by the monitor that Prometheus has for it."""

import pytest
import typer

from trunkline.catalogue.load import load_catalogue
from trunkline.cli import exporter as command
from trunkline.deploy.exporter import exporter
from trunkline.deploy.labels import ALL_SERVICES, METRICS_PORT
from trunkline.deploy.pod_monitors import pod_monitors
from trunkline.deploy.resource import Resource
from trunkline.testing.clusters import a_cluster

CATALOGUE = load_catalogue()


def deployment() -> Resource:
    (found,) = [one for one in exporter(CATALOGUE, "production", a_cluster()) if one.kind == "Deployment"]
    return found


def test_the_command_takes_every_flag_and_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    (container,) = deployment().body["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    arguments = container["args"]
    assert arguments[0] == "exporter"
    found = typer.main.get_command(command.app).make_context("exporter", arguments[1:]).params
    assert (found["host"], found["port"]) == ("0.0.0.0", METRICS_PORT)
    assert found["bootstrap_servers"] == "backbone-kafka-bootstrap.kafka.svc:9093"


def test_prometheus_finds_it_as_the_exporter_and_not_as_a_service() -> None:
    labels = deployment().body["spec"]["template"]["metadata"]["labels"]
    assert not ALL_SERVICES.items() <= labels.items()
    monitors = [
        one.name
        for one in pod_monitors(CATALOGUE, "production", a_cluster())
        if one.body["spec"]["selector"]["matchLabels"].items() <= labels.items()
        and one.body["spec"]["namespaceSelector"].get("matchNames") == ["services"]
    ]
    assert monitors == ["backbone-exporter"]


def test_there_is_one_of_it_or_every_sum_would_count_twice() -> None:
    assert deployment().body["spec"]["replicas"] == 1
