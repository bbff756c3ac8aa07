"""The pod that tells Prometheus how far every group is behind: `trunkline exporter`, one a cluster."""

from collections.abc import Iterable
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy import connecting
from trunkline.deploy.labels import COMPONENT, METRICS_PORT, METRICS_PORT_NAME, NAME, PART_OF
from trunkline.deploy.network_policies import broker_egress, name_egress, prometheus_ingress
from trunkline.deploy.pods import CONTAINER_SECURITY, POD_SECURITY
from trunkline.deploy.resource import Body, Resource
from trunkline.deploy.scope import EXPORTER

LABELS: Final = {NAME: EXPORTER, PART_OF: "trunkline", COMPONENT: "exporter"}


def exporter(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:  # noqa: ARG001 - the signature of all these functions
    """Its account, its Deployment, and what it may reach. It is a principal of its own, `EXPORTER`."""
    yield _resource(cluster, "v1", "ServiceAccount", {"automountServiceAccountToken": False})
    yield _resource(cluster, "apps/v1", "Deployment", {"spec": _deployment(cluster)})
    yield _resource(
        cluster,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {
            "spec": {
                "podSelector": {"matchLabels": LABELS},
                "policyTypes": ["Egress", "Ingress"],
                "egress": [broker_egress(cluster), name_egress()],
                "ingress": [prometheus_ingress(cluster)],
            }
        },
    )


def _resource(cluster: Cluster, api_version: str, kind: str, body: Body) -> Resource:
    return Resource(
        api_version=api_version,
        kind=kind,
        name=EXPORTER,
        namespace=cluster.services_namespace,
        labels=LABELS,
        annotations=connecting.restarted_with(EXPORTER, cluster) if kind == "Deployment" else {},
        body=body,
        why={("metadata", "annotations"): connecting.RESTARTED_WHY} if kind == "Deployment" else {},
    )


def _deployment(cluster: Cluster) -> dict[str, Any]:
    return {
        "replicas": 1,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {
                "serviceAccountName": EXPORTER,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": POD_SECURITY,
                "containers": [_container(cluster)],
                "volumes": [{"name": "tmp", "emptyDir": {}}, *connecting.volumes(EXPORTER, cluster)],
            },
        },
    }


def _container(cluster: Cluster) -> dict[str, Any]:
    variables = {**connecting.variables(EXPORTER, cluster, connecting.in_pod(cluster)), "HOME": "/tmp"}  # noqa: S108 - its own volume
    # A look at /metrics asks the whole cluster, so the probe only knocks.
    probe = {"tcpSocket": {"port": METRICS_PORT_NAME}, "periodSeconds": 10}
    return {
        "name": "exporter",
        "image": cluster.services.image,
        "command": ["trunkline"],
        "args": ["exporter", "--host", "0.0.0.0", "--port", str(METRICS_PORT), "--json"],  # noqa: S104 - by policy
        "env": [{"name": name, "value": variables[name]} for name in sorted(variables)],
        "ports": [{"name": METRICS_PORT_NAME, "containerPort": METRICS_PORT}],
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *connecting.mounts()],  # noqa: S108 - its own volume
    }
