"""Reads an environment's `cluster:`; refuses what Kubernetes, Strimzi or Kafka would refuse or drop unsaid.

Strimzi's operators check much only after a resource was admitted: then it is there, not ready, and whoever
wrote it has to look for why. What they check is checked here first (Strimzi 1.2.0: KafkaCluster,
KafkaSpecChecker, NodePoolUtils, CruiseControlMetricsReporter).
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from yaml.nodes import MappingNode, Node, ScalarNode

from trunkline.catalogue.broker_config import Setting, setting_fault
from trunkline.catalogue.cluster import (
    KAFKA_VERSION,
    METADATA_VERSIONS,
    Authentication,
    Cluster,
    Machine,
    Quota,
    ServicePods,
    Storage,
)
from trunkline.catalogue.machine_file import read_disk, read_java_machine, read_machine
from trunkline.catalogue.nodes import NodeReader
from trunkline.catalogue.section import Section

REQUIRED: Final = (
    *("name", "namespace", "monitoring_namespace", "authentication"),
    *("controllers", "cruise_control", "broker", "services"),
)
OPTIONAL: Final = (
    *("services_namespace", "kafka_version", "metadata_version", "controller", "rack", "quota", "config"),
)
NODE_KEYS: Final = ("cpu", "memory", "heap", "disk")
QUOTA_KEYS: Final = ("producer_byte_rate", "consumer_byte_rate", "request_percentage")
SERVICE_KEYS: Final = ("image", "replicas", "cpu", "memory")

CLUSTER_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?")
"""Strimzi names Services after it, the longest `NAME-kafka-bootstrap`; a Service's name has 63 characters at
most and begins with a letter (RFC 1035)."""

NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
OTHERS_NAMESPACE: Final = re.compile(r"default|keda|kube-.*")
"""Kubernetes' own, and KEDA's: what is rendered for the services has no business there."""

SUBDOMAIN: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_KEY: Final = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
IMAGE: Final = re.compile(
    r"[a-z0-9]+([._:/-]+[a-z0-9]+)*(:(?!latest(@|$))[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(@sha256:[0-9a-f]{64})?"
    r"|@sha256:[0-9a-f]{64})"
)


def read_cluster(
    reader: NodeReader, environment: Mapping[str, Node], *, name: str, counts: Mapping[str, int]
) -> Cluster | None:
    """The environment's cluster; None where there is no section or, with its problems noted, it is at fault.

    `environment` are the nodes of its keys, `counts` those of its numbers that could be read.
    """
    node = environment.get("cluster")
    if node is None:
        return None
    _check_environment(reader, environment, name=name, counts=counts)
    section = Section(reader, node, f"the cluster of {name}", required=REQUIRED, optional=OPTIONAL)
    return _cluster(section, counts)


def _check_environment(
    reader: NodeReader, environment: Mapping[str, Node], *, name: str, counts: Mapping[str, int]
) -> None:
    """What is no fault without Kubernetes, and one with it."""
    deployment = environment.get("deployment")
    if isinstance(deployment, ScalarNode) and deployment.value == "embedded":
        reader.at(
            environment["cluster"],
            f"environment {name} has a cluster and `deployment: embedded`; remove one of them",
        )
    replicas, in_sync = counts.get("replication_factor"), counts.get("min_insync_replicas")
    if replicas is not None and replicas > 1 and replicas == in_sync:
        reader.at(
            environment["min_insync_replicas"],
            f"environment {name}: with min_insync_replicas {in_sync} of {replicas} replicas nothing can be "
            "published while one broker restarts, and Strimzi never restarts one to update it",
        )


def _controllers(section: Section, brokers: int | None) -> int | None:
    """How many there are beside the brokers; 0 where the brokers are controllers as well."""
    controllers = section.count("controllers", least=0)
    if controllers is None:
        return None
    if controllers == 0 and "controller" in section.keys:
        section.refuse(
            "controller", "with controllers 0 the brokers are controllers as well; remove controller"
        )
    if controllers > 0 and "controller" not in section.keys:
        section.refuse(
            "controllers", f"{controllers} controllers need a `controller:` with their machine and disk"
        )
    quorum = controllers or brokers
    if quorum is not None and quorum % 2 == 0:
        what = "controllers" if controllers else "brokers that are controllers as well"
        section.refuse(
            "controllers",
            f"a quorum of {quorum} {what} survives no more failures than one of {quorum - 1}; make it odd",
        )
    return controllers


def _cruise_control(section: Section, brokers: int | None) -> bool | None:
    found = section.flag("cruise_control")
    if found and brokers is not None and brokers < 2:
        section.refuse("cruise_control", "Cruise Control needs at least 2 brokers to move anything between")
    return found


def _cluster(section: Section, counts: Mapping[str, int]) -> Cluster | None:
    """Everything in the section, read whole even where something is at fault, so that all of it is told."""
    label = "a namespace: at most 63 lower-case letters, digits and hyphens"
    name = section.matching(
        "name",
        CLUSTER_NAME,
        "at most 47 lower-case letters, digits and hyphens that begin with a letter; Strimzi names Services "
        "after it",
    )
    namespace = section.matching("namespace", NAMESPACE, label)
    monitoring = section.matching("monitoring_namespace", NAMESPACE, label)
    services_namespace = section.matching("services_namespace", NAMESPACE, label) or namespace
    _check_services_namespace(section, services_namespace, monitoring)
    rack = section.matching("rack", LABEL_KEY, "a node's label, such as topology.kubernetes.io/zone")
    authentication = section.choice("authentication", tuple(Authentication))
    controllers = _controllers(section, counts.get("brokers"))
    cruise_control = _cruise_control(section, counts.get("brokers"))
    kafka_version, metadata_version = _versions(section)
    broker, broker_storage = _node(section, "broker")
    controller, controller_storage = _node(section, "controller")
    quota = _quota(section, counts.get("max_message_bytes"))
    services = _services(section)
    config = _config(section)
    if (
        name is None
        or namespace is None
        or services_namespace is None
        or monitoring is None
        or authentication is None
        or controllers is None
        or cruise_control is None
        or broker is None
        or broker_storage is None
        or services is None
    ):
        return None
    return Cluster(
        name=name,
        namespace=namespace,
        services_namespace=services_namespace,
        monitoring_namespace=monitoring,
        kafka_version=kafka_version,
        metadata_version=metadata_version,
        controllers=controllers,
        broker=broker,
        broker_storage=broker_storage,
        controller=controller,
        controller_storage=controller_storage,
        rack_key=rack,
        cruise_control=cruise_control,
        authentication=Authentication(authentication),
        quota=quota,
        services=services,
        config=config,
    )


def _check_services_namespace(section: Section, name: str | None, monitoring: str | None) -> None:
    """It is rendered, with its labels; so it may not be somebody else's."""
    if "services_namespace" not in section.keys or name is None:
        return
    if name == monitoring:
        whose = "Prometheus has"
    elif OTHERS_NAMESPACE.fullmatch(name):
        whose = "KEDA has" if name == "keda" else "Kubernetes has"
    else:
        return
    section.refuse(
        "services_namespace",
        f"the services cannot be in {name}, which {whose} for its own; give them a namespace such as "
        "trunkline-services, or remove the key to have them beside the brokers",
    )


def _versions(section: Section) -> tuple[str, str]:
    """Kafka's version and that of its metadata, which stays behind until an upgrade is known to be good."""
    versions = tuple(METADATA_VERSIONS)
    kafka = section.choice("kafka_version", versions) or KAFKA_VERSION
    newest = METADATA_VERSIONS[kafka]
    known = tuple(sorted(set(METADATA_VERSIONS.values())))
    metadata = section.choice("metadata_version", known) or newest
    if metadata > newest:
        section.refuse(
            "metadata_version", f"Kafka {kafka} writes metadata {newest} at the newest, not {metadata}"
        )
    return kafka, metadata


def _node(section: Section, role: str) -> tuple[Machine | None, Storage | None]:
    """The machine and the disk of a broker or a controller."""
    found = section.inner(role, required=NODE_KEYS, optional=("storage_class",))
    if found is None:
        return None, None
    storage_class = found.matching("storage_class", SUBDOMAIN, "the name of a StorageClass")
    return read_java_machine(found), read_disk(found, storage_class)


def _quota(section: Section, message_bytes: int | None) -> Quota | None:
    """What a service may take: in a second never less than the largest message."""
    found = section.inner("quota", required=QUOTA_KEYS)
    if found is None:
        return None
    produced, consumed, percentage = (found.count(key) for key in QUOTA_KEYS)
    for key, rate in (("producer_byte_rate", produced), ("consumer_byte_rate", consumed)):
        if rate is not None and message_bytes is not None and rate < message_bytes:
            found.refuse(
                key,
                f"{key} {rate} is below max_message_bytes {message_bytes}: one message would have a service "
                "throttled for seconds; raise it",
            )
    if produced is None or consumed is None or percentage is None:
        return None
    return Quota(producer_byte_rate=produced, consumer_byte_rate=consumed, request_percentage=percentage)


def _services(section: Section) -> ServicePods | None:
    found = section.inner("services", required=SERVICE_KEYS)
    if found is None:
        return None
    image = found.matching(
        "image", IMAGE, "an image with a version: NAME:TAG other than latest, or NAME@sha256:DIGEST"
    )
    replicas = found.count("replicas")
    machine = read_machine(found)
    if image is None or replicas is None or machine is None:
        return None
    return ServicePods(image=image, replicas=replicas, machine=machine)


def _config(section: Section) -> Mapping[str, Setting]:
    """Broker settings beyond those that follow from the contract."""
    node = section.keys.get("config")
    where = f"config of {section.where}"
    if node is None:
        return MappingProxyType({})
    if not isinstance(node, MappingNode):
        section.reader.at(node, f"{where} must be a mapping of broker settings")
        return MappingProxyType({})
    found: dict[str, Setting] = {}
    for key, entry in section.reader.entries(node, where).items():
        value = section.reader.scalar(entry.value, f"{key} in {where}")
        fault = None if value is None else setting_fault(key, value)
        if fault is not None:
            section.reader.at(entry.name, f"{where}: {fault}")
        elif value is not None:
            found[key] = value
    return MappingProxyType(found)
