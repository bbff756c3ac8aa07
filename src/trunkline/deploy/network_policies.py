"""NetworkPolicies of our own pods: nothing but what is listed, in either direction.

Whatever else is in their namespace is left alone: it may have been there first. Strimzi makes the policies
for the brokers' pods. Policies only ever add up, so nothing here narrows those.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Catalogue
from trunkline.deploy import connecting
from trunkline.deploy.labels import (
    ALL_SERVICES,
    API_PORT_NAME,
    COMPONENT,
    METRICS_PORT_NAME,
    PART_OF,
    service_labels,
)
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.service_needs import Needs, needs, runnable

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes itself gives to every namespace."""

CALLERS: Final = {"trunkline.dev/calls-apis": "true"}
"""The label of namespaces whose pods may call the services' APIs."""

DATABASE_PORT: Final = 5432
DNS_PORTS: Final = (53, 5353)
"""The second is OpenShift's: its policies see packets after the Service's port has become the pod's."""

NODE_LOCAL_DNS: Final = "169.254.20.10/32"
"""Where NodeLocal DNSCache listens."""

NOT_PUBLIC_V4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
)
"""Private, link-local and other special addresses (RFC 6890), and a cloud's metadata service at a public one:
a tenant's webhook does not lead inside."""

GLOBAL_V6: Final = "2000::/3"
NOT_PUBLIC_V6: Final = ("2001::/23", "2001:db8::/32", "2002::/16")
"""Of the global ones: Teredo and 6to4, which wrap IPv4 addresses, and those of documentation."""


def network_policies(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:  # noqa: ARG001 - the signature of all these functions
    """What the services' pods may reach, and who may reach them."""
    yield _deny_all(cluster)
    yield _services(cluster)
    yield _operator(cluster)
    for service in runnable(catalogue):
        if rules := _egress_of(needs(service)):
            yield Resource(
                api_version="networking.k8s.io/v1",
                kind="NetworkPolicy",
                name=service,
                namespace=cluster.services_namespace,
                labels=service_labels(service),
                body={
                    "spec": {
                        "podSelector": {"matchLabels": service_labels(service)},
                        "policyTypes": ["Egress"],
                        "egress": rules,
                    }
                },
            )


def broker_egress(cluster: Cluster) -> dict[str, Any]:
    """To the brokers' listener."""
    labels = {"strimzi.io/cluster": cluster.name, "strimzi.io/kind": "Kafka"}
    brokers = {**_namespace(cluster.namespace), "podSelector": {"matchLabels": labels}}
    return {"to": [brokers], "ports": [_port(connecting.PORT)]}


def name_egress() -> dict[str, Any]:
    """To whatever answers for names in this cluster."""
    return {
        "to": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": NODE_LOCAL_DNS}}],
        "ports": [_port(number, protocol) for number in DNS_PORTS for protocol in ("UDP", "TCP")],
    }


def prometheus_ingress(cluster: Cluster) -> dict[str, Any]:
    """From Prometheus to the metrics."""
    return {"from": [_namespace(cluster.monitoring_namespace)], "ports": [_port(METRICS_PORT_NAME)]}


def _policy(name: str, cluster: Cluster, spec: Mapping[str, Any], why: Mapping[Field, str]) -> Resource:
    return Resource(
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        name=name,
        namespace=cluster.services_namespace,
        labels={PART_OF: ALL_SERVICES[PART_OF]},
        body={"spec": spec},
        why=why,
    )


def _deny_all(cluster: Cluster) -> Resource:
    spec = {"podSelector": {"matchLabels": ALL_SERVICES}, "policyTypes": ["Egress", "Ingress"]}
    why = "The services only: others' pods in this namespace, such as Strimzi's, go by policies of their own."
    return _policy("trunkline-default-deny", cluster, spec, {("spec", "podSelector"): why})


def _services(cluster: Cluster) -> Resource:
    spec = {
        "podSelector": {"matchLabels": ALL_SERVICES},
        "policyTypes": ["Egress", "Ingress"],
        "egress": [
            broker_egress(cluster),
            name_egress(),
            {"ports": [_port(DATABASE_PORT)]},
        ],
        "ingress": [
            {
                "from": [
                    {"podSelector": {"matchLabels": ALL_SERVICES}},
                    {"namespaceSelector": {"matchLabels": CALLERS}},
                ],
                "ports": [_port(API_PORT_NAME)],
            },
            prometheus_ingress(cluster),
        ],
    }
    egress: Field = ("spec", "egress")
    why: dict[Field, str] = {
        (*egress, 0, "ports"): "The brokers.",
        (*egress, 1, "ports"): "Names.",
        (*egress, 2, "ports"): "PostgreSQL, wherever it is; name its address in an overlay to narrow this.",
        ("spec", "ingress", 0, "from"): "The API: each other, and namespaces that bear the label.",
        ("spec", "ingress", 1, "from"): "Prometheus. The kubelet's probes need no rule.",
    }
    return _policy("trunkline-services", cluster, spec, why)


def _operator(cluster: Cluster) -> Resource:
    """Of a pod that people run `trunkline` in. The brokers' listener takes it by the label of all of ours."""
    spec = {
        "podSelector": {
            "matchLabels": {PART_OF: ALL_SERVICES[PART_OF]},
            "matchExpressions": [{"key": COMPONENT, "operator": "DoesNotExist"}],
        },
        "policyTypes": ["Egress"],
        "egress": [broker_egress(cluster), name_egress()],
    }
    why = "Pods that people run commands in; those of the services and the exporter have a component."
    return _policy("trunkline-operator", cluster, spec, {("spec", "podSelector"): why})


def _egress_of(wanted: Needs) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    if wanted.ports:
        rules.append({"ports": [_port(port) for port in wanted.ports]})
    if wanted.is_public:
        rules.append(
            {
                "to": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_PUBLIC_V4)}},
                    {"ipBlock": {"cidr": GLOBAL_V6, "except": list(NOT_PUBLIC_V6)}},
                ],
                "ports": [_port(80), _port(443)],
            }
        )
    return rules


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: name}}}


def _port(port: int | str, protocol: str = "TCP") -> dict[str, Any]:
    return {"port": port, "protocol": protocol}
