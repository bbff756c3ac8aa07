"""What the services' pods may reach: evaluated as a cluster would, for real addresses and pods."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from trunkline.catalogue.load import load_catalogue
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
    assert set(selector) <= {"matchLabels"}
    return all(labels.get(name) == value for name, value in selector.get("matchLabels", {}).items())


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


def test_whatever_else_runs_in_the_namespace_is_shut_off() -> None:
    intruder = Peer({NAMESPACE: "services"}, {"app": "debug"})
    assert not allowed("egress", intruder, BROKER, 9093)
    assert not allowed("ingress", intruder, PROMETHEUS, "metrics")


def test_strimzis_pods_are_left_alone_where_they_share_the_namespace() -> None:
    for one in network_policies(CATALOGUE, "production", a_cluster(services_namespace="kafka")):
        assert not matches(one.body["spec"]["podSelector"], BROKER.labels), one.name
