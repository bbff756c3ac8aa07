"""Catalogue and environment -> what Prometheus scrapes: PodMonitors of the Prometheus operator.

Ports are those of Strimzi 1.2: `tcp-prometheus` (9404) of Kafka and Cruise Control, `healthcheck-to` and
`healthcheck-uo` of the entity operator (called `healthcheck` before 1.1), `http` of the cluster operator.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.labels import ALL_SERVICES, METRICS_PORT_NAME, NAME
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.scope import APP, EXPORTER, MONITORING

KAFKA_PORT: Final = "tcp-prometheus"
ENTITY_OPERATOR_PORTS: Final = ("healthcheck-to", "healthcheck-uo")
CLUSTER_OPERATOR_PORT: Final = "http"

STRIMZI_CLUSTER: Final = "strimzi.io/cluster"
STRIMZI_COMPONENT: Final = "strimzi.io/component-type"
STRIMZI_KIND: Final = "strimzi.io/kind"

KEEP_STRIMZI_LABELS: Final = {
    "action": "labelmap",
    "regex": "__meta_kubernetes_pod_label_(strimzi_io_(cluster|component_type|broker_role|controller_role))",
}
"""Cluster, component and roles of a pod become labels of its series; alerts and dashboards select by them."""

TELL_APP: Final = {
    "action": "replace",
    "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
    "targetLabel": APP,
}
"""Some of a service's metrics have no label that says whose they are."""

_RELABELINGS: Final[Field] = ("spec", "podMetricsEndpoints", 0, "relabelings")


def pod_monitors(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:  # noqa: ARG001 - the signature of all these functions
    """A PodMonitor for each kind of pod, beside Prometheus; Cruise Control's where there is one.

    Prometheus has to be allowed to read pods in the cluster's and the services' namespace.
    """
    yield _of_strimzi(cluster, "kafka", [KAFKA_PORT])
    yield _of_strimzi(cluster, "entity-operator", ENTITY_OPERATOR_PORTS)
    if cluster.cruise_control:
        yield _of_strimzi(cluster, "cruise-control", [KAFKA_PORT])
    yield _cluster_operator(cluster)
    yield _monitor(
        cluster,
        "services",
        namespace=cluster.services_namespace,
        labels=ALL_SERVICES,
        endpoints=[_endpoint(METRICS_PORT_NAME, TELL_APP)],
        why={_RELABELINGS: "Which service it is; metrics of the configuration do not say so themselves."},
    )
    yield _monitor(
        cluster,
        "exporter",
        namespace=cluster.services_namespace,
        labels={NAME: EXPORTER},
        endpoints=[{**_endpoint(METRICS_PORT_NAME, TELL_APP), "interval": "30s", "scrapeTimeout": "25s"}],
        why={
            ("spec", "podMetricsEndpoints", 0, "scrapeTimeout"): "It asks the cluster while it is scraped.",
        },
    )


def _of_strimzi(cluster: Cluster, component: str, ports: Sequence[str]) -> Resource:
    return _monitor(
        cluster,
        component,
        namespace=cluster.namespace,
        labels={STRIMZI_CLUSTER: cluster.name, STRIMZI_COMPONENT: component},
        endpoints=[_endpoint(port, KEEP_STRIMZI_LABELS) for port in ports],
        why={_RELABELINGS: "Cluster, component and roles, by which alerts and dashboards select."},
    )


def _cluster_operator(cluster: Cluster) -> Resource:
    return _monitor(
        cluster,
        "cluster-operator",
        namespace=None,
        labels={STRIMZI_KIND: "cluster-operator"},
        endpoints=[_endpoint(CLUSTER_OPERATOR_PORT)],
        why={
            ("spec", "namespaceSelector"): "It tells when certificates expire, and is installed by others, "
            "wherever they like.",
        },
    )


def _endpoint(port: str, relabeling: Mapping[str, Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"port": port, "path": "/metrics"}
    if relabeling is not None:
        found["relabelings"] = [relabeling]
    return found


def _monitor(
    cluster: Cluster,
    what: str,
    *,
    namespace: str | None,
    labels: Mapping[str, str],
    endpoints: Sequence[Mapping[str, Any]],
    why: Mapping[Field, str],
) -> Resource:
    """`namespace` None is any."""
    return Resource(
        api_version="monitoring.coreos.com/v1",
        kind="PodMonitor",
        name=f"{cluster.name}-{what}",
        namespace=cluster.monitoring_namespace,
        labels=MONITORING,
        body={
            "spec": {
                "selector": {"matchLabels": dict(labels)},
                "namespaceSelector": {"any": True} if namespace is None else {"matchNames": [namespace]},
                "podMetricsEndpoints": list(endpoints),
            }
        },
        why=why,
    )
