"""Everything that runs the services, judged as a Kubernetes API and KEDA would."""

from pathlib import Path

import pytest

from trunkline.catalogue.cluster import Authentication, Cluster
from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.labels import NAME
from trunkline.deploy.text import document
from trunkline.deploy.workloads import workloads
from trunkline.testing.clusters import REPORTS, a_cluster, with_reports
from trunkline.testing.keda import API_VERSION as KEDA
from trunkline.testing.keda import keda_problems
from trunkline.testing.kubernetes import problems

CATALOGUE = load_catalogue()
KINDS_OF_ALL = {"ServiceAccount", "Deployment", "Service", "PodDisruptionBudget"}


@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize(
    "cluster",
    [
        a_cluster(),
        a_cluster(authentication=Authentication.SCRAM),
        a_cluster(services_namespace="kafka", rack_key=None),
    ],
    ids=["certificates", "passwords", "one namespace"],
)
def test_a_kubernetes_api_takes_all_of_it_and_drops_nothing(
    environment: str, cluster: Cluster, schemas: Path
) -> None:
    found = {}
    for resource in workloads(CATALOGUE, environment, cluster):
        manifest = resource.manifest()
        wrong = keda_problems(manifest) if resource.api_version == KEDA else problems(manifest, schemas)
        if wrong:
            found[resource.key] = wrong
        assert document(resource)
    assert found == {}


def test_each_service_has_what_it_takes_and_no_two_resources_are_the_same() -> None:
    made = list(workloads(CATALOGUE, "production", a_cluster()))
    assert len({resource.key for resource in made}) == len(made)
    for service in CATALOGUE.services:
        kinds = {resource.kind for resource in made if resource.labels.get(NAME) == service}
        assert kinds >= KINDS_OF_ALL, service


def test_what_this_version_cannot_run_has_no_workload_at_all() -> None:
    """`trunkline service report-service` exits with 2, so a pod of it would never start."""
    made = list(workloads(with_reports(), "production", a_cluster()))
    assert not [one.key for one in made if REPORTS in (one.name, one.labels.get(NAME))]
    assert {one.key for one in made} == {one.key for one in workloads(CATALOGUE, "production", a_cluster())}


def test_the_services_namespace_is_rendered_only_where_it_is_their_own() -> None:
    def namespaces(cluster: Cluster) -> list[str]:
        return [one.name for one in workloads(CATALOGUE, "production", cluster) if one.kind == "Namespace"]

    assert namespaces(a_cluster()) == ["services"]
    assert namespaces(a_cluster(services_namespace="kafka")) == []


def test_a_namespace_that_is_there_already_keeps_its_pods() -> None:
    """Rendered labels are put on it, too, and others' pods need not be restricted."""
    (namespace,) = [one for one in workloads(CATALOGUE, "production", a_cluster()) if one.kind == "Namespace"]
    assert set(namespace.labels) == {"pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/warn"}
    assert document(namespace)


def test_everything_namespaced_is_in_the_services_namespace() -> None:
    made = workloads(CATALOGUE, "production", a_cluster())
    assert {one.namespace for one in made if one.kind != "Namespace"} == {"services"}


def test_no_secret_is_rendered() -> None:
    assert not [one for one in workloads(CATALOGUE, "production", a_cluster()) if one.kind == "Secret"]
