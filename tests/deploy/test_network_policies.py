"""What the services' pods may reach: evaluated as a cluster would, for real addresses and pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
from trunkline.deploy.deployments import deployments
from trunkline.deploy.exporter import exporter
from trunkline.deploy.labels import service_labels
from trunkline.deploy.network_policies import network_policies
from trunkline.deploy.resource import Resource
from trunkline.services.notification.channels.addresses import Guard
from trunkline.testing.clusters import a_cluster

CATALOGUE = load_catalogue()
NAMESPACE = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Peer:
    """A pod, or an address outside of the cluster."""

    namespace: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None


BROKER = Peer({NAMESPACE: "kafka"}, {"strimzi.io/cluster": "backbone", "strimzi.io/kind": "Kafka"})
OPERATOR = Peer({NAMESPACE: "kafka"}, {"name": "strimzi-cluster-operator"})
DNS = Peer({NAMESPACE: "kube-system"}, {"k8s-app": "kube-dns"})
PROMETHEUS = Peer({NAMESPACE: "monitoring"}, {"app.kubernetes.io/name": "prometheus"})
INGRESS = Peer({NAMESPACE: "ingress", "trunkline.dev/calls-apis": "true"}, {})
STRANGER = Peer({NAMESPACE: "default"}, {})
INTERNET = Peer(address="93.184.216.34")
INTERNET_V6 = Peer(address="2606:2800:220:1::1")
METADATA_SERVICE = Peer(address="169.254.169.254")
DATABASE = Peer(address="10.20.0.5")


def policies() -> list[Resource]:
    cluster = a_cluster()
    made = [*network_policies(CATALOGUE, "production", cluster), *exporter(CATALOGUE, "production", cluster)]
    return [one for one in made if one.kind == "NetworkPolicy"]


def pod(service: str) -> Peer:
    return Peer({NAMESPACE: "services"}, service_labels(service))


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    absent = selector.get("matchExpressions", [])
    assert all(one["operator"] == "DoesNotExist" for one in absent)
    return all(
        labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()
    ) and not any(one["key"] in labels for one in absent)


def is_peer(rule: Mapping[str, Any], peer: Peer) -> bool:
    if "ipBlock" in rule:
        if peer.address is None:
            return False
        address, block = ip_address(peer.address), ip_network(rule["ipBlock"]["cidr"])
        excepted = map(ip_network, rule["ipBlock"].get("except", []))
        return address in block and not any(address in one for one in excepted)
    if peer.address is not None:
        return False
    if "namespaceSelector" not in rule and peer.namespace[NAMESPACE] != "services":
        return False
    return matches(rule.get("namespaceSelector", {}), peer.namespace) and matches(
        rule.get("podSelector", {}), peer.labels
    )


def allowed(direction: str, own: Peer, peer: Peer, port: int | str, protocol: str = "TCP") -> bool:
    """As a cluster decides: closed once any policy selects the pod, open by any rule of any of them."""
    key, side = ("Egress", "to") if direction == "egress" else ("Ingress", "from")
    selecting = [
        one.body["spec"]
        for one in policies()
        if key in one.body["spec"]["policyTypes"] and matches(one.body["spec"]["podSelector"], own.labels)
    ]
    assert selecting, "no policy selects the pod, so everything would be allowed"
    rules: Iterable[Mapping[str, Any]] = [rule for spec in selecting for rule in spec.get(direction, [])]
    return any(
        any(one["port"] == port and one["protocol"] == protocol for one in rule["ports"])
        and (side not in rule or any(is_peer(one, peer) for one in rule[side]))
        for rule in rules
    )


@pytest.mark.parametrize("service", sorted(CATALOGUE.services))
def test_every_service_reaches_brokers_names_and_its_database(service: str) -> None:
    own = pod(service)
    assert allowed("egress", own, BROKER, 9093)
    assert allowed("egress", own, DNS, 53, "UDP")
    assert allowed("egress", own, DNS, 5353, "UDP")  # where OpenShift's listens
    assert allowed("egress", own, DATABASE, 5432)


@pytest.mark.parametrize("service", sorted(CATALOGUE.services))
@pytest.mark.parametrize(
    ("peer", "port"),
    [
        (BROKER, 9090),
        (BROKER, 9091),
        (OPERATOR, 9093),
        (STRANGER, 8080),
        (METADATA_SERVICE, 80),
        (DATABASE, 443),
    ],
    ids=["controllers", "replication", "operator", "others", "cloud metadata", "inside"],
)
def test_no_service_reaches_what_it_has_no_business_with(service: str, peer: Peer, port: int) -> None:
    assert not allowed("egress", pod(service), peer, port)


def test_only_notification_reaches_the_internet_and_mail_servers() -> None:
    for peer, port in ((INTERNET, 443), (INTERNET, 80), (INTERNET_V6, 443), (INTERNET, 587)):
        reaching = [name for name in CATALOGUE.services if allowed("egress", pod(name), peer, port)]
        assert reaching == ["notification-service"]


def test_only_config_reaches_redis() -> None:
    assert [name for name in CATALOGUE.services if allowed("egress", pod(name), DATABASE, 6379)] == [
        "config-service"
    ]


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.31.0.1",
        "172.32.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "0.0.0.0",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "93.184.216.34",
        "::1",
        "fd00::1",
        "fe80::1",
        "ff02::1",
        "2002:a00:1::1",
        "2001:db8::1",
        "2001:0:0:1::1",
        "2606:2800:220:1::1",
    ],
)
def test_the_policy_lets_through_what_the_service_itself_takes_for_public(address: str) -> None:
    assert allowed("egress", pod("notification-service"), Peer(address=address), 443) is Guard().permits(
        ip_address(address)
    )


@pytest.mark.parametrize(
    ("peer", "port", "expected"),
    [
        (PROMETHEUS, "metrics", True),
        (PROMETHEUS, "api", False),
        (INGRESS, "api", True),
        (INGRESS, "metrics", False),
        (pod("tenant-service"), "api", True),
        (STRANGER, "api", False),
        (STRANGER, "health", False),
    ],
)
def test_the_api_is_for_callers_and_the_metrics_for_prometheus(peer: Peer, port: str, expected: bool) -> None:
    assert allowed("ingress", pod("audit-service"), peer, port) is expected


OTHERS = [
    BROKER.labels,
    {"app": "reports"},
    {"app.kubernetes.io/name": "postgresql", "app.kubernetes.io/component": "service"},
    {"app.kubernetes.io/name": "reports", "app.kubernetes.io/part-of": "office"},
]


@pytest.mark.parametrize("labels", OTHERS)
def test_whoever_else_is_in_the_namespace_is_left_alone(labels: Mapping[str, str]) -> None:
    """It may be a namespace that is there already."""
    for one in policies():
        assert not matches(one.body["spec"]["podSelector"], labels), one.name


def test_a_pod_that_people_run_commands_in_reaches_the_brokers_and_names_only() -> None:
    operator = Peer({NAMESPACE: "services"}, {"app.kubernetes.io/part-of": "trunkline"})
    assert allowed("egress", operator, BROKER, 9093)
    assert allowed("egress", operator, DNS, 53, "UDP")
    assert not allowed("egress", operator, INTERNET, 443)
    assert not allowed("egress", operator, DATABASE, 5432)


def test_a_service_that_somebody_else_runs_reaches_what_all_do() -> None:
    own = pod("report-service")
    assert allowed("egress", own, BROKER, 9093)
    assert allowed("egress", own, DATABASE, 5432)
    assert allowed("ingress", own, PROMETHEUS, "metrics")
    assert not allowed("egress", own, INTERNET, 443)


def test_no_pod_of_ours_is_left_open() -> None:
    """Each is selected for both directions by some policy, so that nothing but what is listed is allowed."""
    made = [
        *deployments(CATALOGUE, "production", a_cluster()),
        *exporter(CATALOGUE, "production", a_cluster()),
    ]
    pods = {
        one.name: one.body["spec"]["template"]["metadata"]["labels"]
        for one in made
        if one.kind == "Deployment"
    }
    assert len(pods) == len(CATALOGUE.services) + 1
    for name, labels in pods.items():
        own = Peer({NAMESPACE: "services"}, labels)
        assert not allowed("egress", own, STRANGER, 443), name
        assert not allowed("ingress", own, STRANGER, "metrics"), name
