"""Scaling on lag: KEDA asks about the group that the service is, as the service, and stays within bounds."""

import pytest

from trunkline.catalogue.cluster import Authentication, Cluster
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.deployments import deployments
from trunkline.deploy.resource import Resource
from trunkline.deploy.scaling import scaling
from trunkline.testing.clusters import a_cluster

CATALOGUE = load_catalogue()


def made(kind: str, cluster: Cluster | None = None, environment: str = "production") -> dict[str, Resource]:
    found = scaling(CATALOGUE, environment, cluster or a_cluster())
    return {one.name: one for one in found if one.kind == kind}


def test_the_services_that_share_partitions_are_scaled_and_no_others() -> None:
    assert set(made("ScaledObject")) == {
        "billing-service",
        "catalog-service",
        "config-service",
        "data-quality-service",
        "governance-service",
        "notification-service",
    }


@pytest.mark.parametrize("environment", ["development", "production"])
def test_none_gets_more_pods_than_its_group_has_partitions(environment: str) -> None:
    for service, scaled in made("ScaledObject", environment=environment).items():
        shared = sum(CATALOGUE.partitions(one.name, environment) for one in CATALOGUE.shared_by(service))
        assert 1 <= scaled.body["spec"]["minReplicaCount"] < scaled.body["spec"]["maxReplicaCount"] <= shared


def test_a_deployment_names_its_replicas_exactly_where_nothing_else_does() -> None:
    scaled = set(made("ScaledObject"))
    for one in deployments(CATALOGUE, "production", a_cluster()):
        if one.kind == "Deployment":
            assert ("replicas" in one.body["spec"]) is (one.name not in scaled), one.name


def test_it_asks_in_versions_that_kafka_4_answers() -> None:
    for scaled in made("ScaledObject").values():
        (trigger,) = scaled.body["spec"]["triggers"]
        version = tuple(map(int, trigger["metadata"]["version"].split(".")))
        assert version >= (2, 1, 0), "KIP-896: Kafka 4 takes requests of clients from 2.1 on"


def test_with_certificates_it_shows_the_services() -> None:
    first = made("TriggerAuthentication")["billing-service"]
    assert [(one["parameter"], one["name"], one["key"]) for one in first.body["spec"]["secretTargetRef"]] == [
        ("ca", "backbone-cluster-ca-cert", "ca.crt"),
        ("cert", "billing-service", "user.crt"),
        ("key", "billing-service", "user.key"),
    ]


def test_with_a_password_the_name_is_that_of_the_pods() -> None:
    cluster = a_cluster(authentication=Authentication.SCRAM)
    spec = made("TriggerAuthentication", cluster)["billing-service"].body["spec"]
    assert [one["parameter"] for one in spec["secretTargetRef"]] == ["ca", "password"]
    assert spec["env"] == [
        {"parameter": "username", "name": "TRUNKLINE_SASL_USERNAME", "containerName": "service"}
    ]
    (trigger,) = made("ScaledObject", cluster)["billing-service"].body["spec"]["triggers"]
    assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == ("enable", "scram_sha512")
