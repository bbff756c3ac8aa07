"""A Deployment for each service, with what it stands on: account, volume, disruption budget, HTTP Service."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy import connecting
from trunkline.deploy.labels import API_PORT_NAME, service_labels
from trunkline.deploy.pods import pod_spec
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.service_needs import needs, replicas, runnable

API_VERSIONS: Final = {
    "Deployment": "apps/v1",
    "PersistentVolumeClaim": "v1",
    "PodDisruptionBudget": "policy/v1",
    "Service": "v1",
    "ServiceAccount": "v1",
}

_POD: Final[Field] = ("spec", "template", "spec")
_CONTAINER: Final[Field] = (*_POD, "containers", 0)


def deployments(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """What runs each service of the catalogue that this version can run."""
    for service in runnable(catalogue):
        yield _resource(service, cluster, "ServiceAccount", {"automountServiceAccountToken": False})
        yield _deployment(catalogue, environment, cluster, service)
        yield _http_service(service, cluster)
        yield _disruption_budget(service, cluster)
        if needs(service).files is not None:
            yield _claim(service, cluster)


def _resource(
    service: str,
    cluster: Cluster,
    kind: str,
    body: Mapping[str, Any],
    *,
    why: Mapping[Field, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Resource:
    return Resource(
        api_version=API_VERSIONS[kind],
        kind=kind,
        name=service,
        namespace=cluster.services_namespace,
        labels=service_labels(service),
        annotations=annotations or {},
        body=body,
        why=why or {},
    )


def _http_service(service: str, cluster: Cluster) -> Resource:
    ports = [{"name": API_PORT_NAME, "port": 80, "targetPort": API_PORT_NAME, "protocol": "TCP"}]
    return _resource(
        service, cluster, "Service", {"spec": {"selector": service_labels(service), "ports": ports}}
    )


def _disruption_budget(service: str, cluster: Cluster) -> Resource:
    spec = {
        "selector": {"matchLabels": service_labels(service)},
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }
    why: dict[Field, str] = {
        ("spec", "maxUnavailable"): "Not minAvailable, which would keep a node from being drained under a "
        "single pod.",
        ("spec", "unhealthyPodEvictionPolicy"): "A pod that does no work anyway holds up no drain.",
    }
    return _resource(service, cluster, "PodDisruptionBudget", {"spec": spec}, why=why)


def _claim(service: str, cluster: Cluster) -> Resource:
    files = needs(service).files
    assert files is not None, "a claim is for a service with files"
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": files.size}},
    }
    if cluster.broker_storage.storage_class is not None:
        spec["storageClassName"] = cluster.broker_storage.storage_class
    return _resource(service, cluster, "PersistentVolumeClaim", {"spec": spec}, why={("spec",): files.why})


def _deployment(catalogue: Catalogue, environment: str, cluster: Cluster, service: str) -> Resource:
    allowed = replicas(catalogue, environment, cluster, service)
    strategy, strategy_why = _strategy(catalogue, service)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": service_labels(service)},
        "strategy": strategy,
        "template": {
            "metadata": {"labels": service_labels(service)},
            "spec": pod_spec(environment, cluster, service),
        },
    }
    why: dict[Field, str] = {
        ("metadata", "annotations"): connecting.RESTARTED_WHY,
        ("spec", "strategy"): strategy_why,
        (*_POD, "terminationGracePeriodSeconds"): "What a service may take to end, in its own bounds; "
        "mostly two seconds.",
        (*_POD, "enableServiceLinks"): "Nothing is found by the variables of other Services.",
        (*_CONTAINER, "resources"): "No CPU limit: a throttled consumer misses its heartbeats and loses its "
        "partitions.",
        (*_CONTAINER, "startupProbe"): "Before it answers it opens its databases and brings their tables up "
        "to date.",
    }
    if allowed.are_scaled:
        why[("spec",)] = "No replicas: the ScaledObject decides, and an apply must not set them back."
    else:
        spec["replicas"] = allowed.least
        if needs(service).files is not None:
            why[("spec", "replicas")] = "Its files are not shared, so there is one."
    return _resource(
        service,
        cluster,
        "Deployment",
        {"spec": spec},
        why=why,
        annotations=connecting.restarted_with(service, cluster),
    )


def _strategy(catalogue: Catalogue, service: str) -> tuple[Mapping[str, Any], str]:
    """How a new version takes over, and why so."""
    if needs(service).files is not None:
        return {"type": "Recreate"}, "Two pods must not have the files open at once."
    if catalogue.shared_by(service):
        return (
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "No surge: with a pod for every partition another one gets none and never becomes ready.",
        )
    return (
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "It shares no partitions, so the new pod comes before the old one goes.",
    )
