"""The platform's own services on Kubernetes: everything that runs them, guards them and scales them."""

from collections.abc import Iterable

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.deployments import deployments
from trunkline.deploy.exporter import exporter
from trunkline.deploy.network_policies import network_policies
from trunkline.deploy.resource import Resource
from trunkline.deploy.scaling import scaling


def workloads(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """Their namespace, Deployments, NetworkPolicies and ScaledObjects, and the exporter of their lag."""
    if cluster.services_namespace != cluster.namespace:
        yield _namespace(cluster)
    yield from deployments(catalogue, environment, cluster)
    yield from network_policies(catalogue, environment, cluster)
    yield from scaling(catalogue, environment, cluster)
    yield from exporter(catalogue, environment, cluster)


def _namespace(cluster: Cluster) -> Resource:
    return Resource(
        api_version="v1",
        kind="Namespace",
        name=cluster.services_namespace,
        labels={
            "pod-security.kubernetes.io/audit": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        },
        body={},
        why={("metadata", "labels"): "Ours keep to it. It is not enforced on whoever else is in there."},
    )
