"""The Kafka resource: closed to strangers, as the contract says, and nothing in it that Strimzi drops."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from trunkline.catalogue.broker_config import FIXED, RULED, broker_settings
from trunkline.catalogue.cluster import Authentication, Cluster
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy import labels, scope
from trunkline.deploy.kafka import broker_config, kafka
from trunkline.deploy.text import documents
from trunkline.testing.kubernetes import problems

ENVIRONMENTS = ["development", "production"]


def rendered(environment: str, **changes: Any) -> dict[str, Any]:
    """What a reader of the YAML gets, by kind."""
    catalogue = load_catalogue()
    cluster = replace(catalogue.cluster(environment), **changes)
    found = list(yaml.safe_load_all(documents(kafka(catalogue, environment, cluster))))
    assert len({one["kind"] for one in found}) == len(found)
    return {one["kind"]: one for one in found}


def spec_of(environment: str, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = rendered(environment, **changes)["Kafka"]["spec"]
    return spec


def cluster_of(environment: str) -> Cluster:
    return load_catalogue().cluster(environment)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("authentication", Authentication)
def test_no_field_is_unknown_to_strimzi_and_no_rule_broken(
    environment: str, authentication: Authentication, schemas: Path
) -> None:
    for manifest in rendered(environment, authentication=authentication).values():
        assert problems(manifest, schemas) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("authentication", Authentication)
def test_every_listener_is_encrypted_authenticated_and_closed_to_other_pods(
    environment: str, authentication: Authentication
) -> None:
    brokers = spec_of(environment, authentication=authentication)["kafka"]
    [listener] = brokers["listeners"]
    assert (listener["name"], listener["port"], listener["type"]) == ("tls", 9093, "internal")
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": authentication.value}
    assert brokers["authorization"] == {"type": "simple"}


def admits(listener: Mapping[str, Any], namespace: str, pod: Mapping[str, str]) -> bool:
    """Whether a NetworkPolicy with these peers lets the pod in."""
    return any(
        peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": namespace}
        and peer["podSelector"]["matchLabels"].items() <= pod.items()
        for peer in listener["networkPolicyPeers"]
    )


def test_services_exporter_and_keda_may_connect_and_nobody_else() -> None:
    [listener] = spec_of("production", services_namespace="platform")["kafka"]["listeners"]
    exporter = {labels.NAME: scope.EXPORTER, labels.PART_OF: "trunkline"}
    assert admits(listener, "platform", labels.service_labels("audit-service"))
    assert admits(listener, "platform", exporter)
    assert admits(listener, "keda", {"app": "keda-operator"})
    assert not admits(listener, "elsewhere", labels.service_labels("audit-service"))
    assert not admits(listener, "platform", {labels.NAME: "audit-service"})
    assert not admits(listener, "keda", {"app": "keda-metrics-apiserver"})


@pytest.mark.parametrize(
    ("environment", "replicas", "in_sync", "days", "partitions"),
    [("development", 1, 1, 7, 3), ("production", 3, 2, 30, 6)],
)
def test_the_contract_is_the_default_of_every_topic_that_names_nothing(
    environment: str, replicas: int, in_sync: int, days: int, partitions: int
) -> None:
    config = spec_of(environment)["kafka"]["config"]
    assert {name: value for name, value in config.items() if name.endswith("replication.factor")} == {
        "default.replication.factor": replicas,
        "offsets.topic.replication.factor": replicas,
        "share.coordinator.state.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
    }
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"] == in_sync
    assert config["log.retention.ms"] == days * 86_400_000
    assert config["num.partitions"] == partitions
    assert config["compression.type"] == "snappy"
    assert config["message.max.bytes"] == 1_048_588
    assert config["auto.create.topics.enable"] is False
    assert config["unclean.leader.election.enable"] is False
    assert config["allow.everyone.if.no.acl.found"] is False


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_setting_is_one_that_reaches_the_brokers(environment: str) -> None:
    catalogue = load_catalogue()
    config = broker_config(catalogue.environment(environment), catalogue.cluster(environment))
    assert config.keys() - broker_settings().keys() == {"allow.everyone.if.no.acl.found"}
    for name in config.keys() & broker_settings().keys():
        assert broker_settings()[name].fault(config[name]) is None


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_a_catalogue_may_not_set_is_never_what_it_adds(environment: str) -> None:
    catalogue = load_catalogue()
    config = broker_config(catalogue.environment(environment), catalogue.cluster(environment))
    assert config.keys() - {"allow.everyone.if.no.acl.found"} <= {*RULED, *FIXED}


def test_settings_of_the_environment_are_added() -> None:
    config = spec_of("production", config={"num.io.threads": 16})["kafka"]["config"]
    assert config["num.io.threads"] == 16
    assert config["min.insync.replicas"] == 2


def test_production_reads_and_places_replicas_by_zone() -> None:
    brokers = spec_of("production")["kafka"]
    assert brokers["rack"] == {"type": "topology-label", "topologyKey": "topology.kubernetes.io/zone"}
    assert brokers["config"]["replica.selector.class"].endswith(".RackAwareReplicaSelector")
    assert "rack" not in spec_of("development")["kafka"]


def test_cruise_control_rebalances_by_itself_in_production_only() -> None:
    found = rendered("production")
    cruise_control = found["Kafka"]["spec"]["cruiseControl"]
    template = found["KafkaRebalance"]
    assert template["metadata"]["annotations"]["strimzi.io/rebalance-template"] == "true"
    name = template["metadata"]["name"]
    assert cruise_control["autoRebalance"] == [
        {"mode": "add-brokers", "template": {"name": name}},
        {"mode": "remove-brokers", "template": {"name": name}},
    ]
    reference = cruise_control["metricsConfig"]["valueFrom"]["configMapKeyRef"]
    assert found["ConfigMap"]["metadata"]["name"] == reference["name"]
    assert yaml.safe_load(found["ConfigMap"]["data"][reference["key"]])["lowercaseOutputName"] is True
    assert rendered("development").keys() == {"Kafka"}
    assert "cruiseControl" not in spec_of("development")


def test_versions_are_written_out() -> None:
    brokers = spec_of("production")["kafka"]
    cluster = cluster_of("production")
    assert (brokers["version"], brokers["metadataVersion"]) == ("4.3.1", "4.3-IV0")
    assert (cluster.kafka_version, cluster.metadata_version) == ("4.3.1", "4.3-IV0")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_brokers_and_controllers_export_metrics_without_a_config_map_of_rules(environment: str) -> None:
    assert spec_of(environment)["kafka"]["metricsConfig"] == {"type": "strimziMetricsReporter"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_operators_run_in_the_namespace_of_the_cluster(environment: str) -> None:
    operators = spec_of(environment)["entityOperator"]
    for name in ("topicOperator", "userOperator"):
        # Elsewhere Strimzi deletes the entity operator unless it was told to allow it (CVE-2026-55225).
        assert "watchedNamespace" not in operators[name]
        assert operators[name]["resources"]["limits"]["memory"]


def test_topics_of_a_deleted_namespace_are_waited_for_in_production_only() -> None:
    assert "template" not in spec_of("production")["entityOperator"]
    container = spec_of("development")["entityOperator"]["template"]["topicOperatorContainer"]
    assert container["env"] == [{"name": "STRIMZI_USE_FINALIZERS", "value": "false"}]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_certificates_are_renewed_a_month_before_they_end(environment: str) -> None:
    spec = spec_of(environment)
    assert spec["clusterCa"] == spec["clientsCa"] == {"validityDays": 365, "renewalDays": 30}


def test_production_restarts_for_certificates_at_night() -> None:
    assert spec_of("production")["maintenanceTimeWindows"] == ["* * 2-4 ? * MON,TUE,WED,THU *"]
    assert "maintenanceTimeWindows" not in spec_of("development")
