"""How an environment's cluster is built on Kubernetes: what its manifests need beside the contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

METADATA_VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"4.2.0": "4.2-IV1", "4.2.1": "4.2-IV1", "4.3.0": "4.3-IV0", "4.3.1": "4.3-IV0"}
)
"""The Kafka versions that Strimzi 1.2 deploys, each with the newest format of metadata that it writes."""

KAFKA_VERSION: Final = "4.3.1"
"""What Strimzi 1.2 deploys unless told otherwise; written out, so that no operator's upgrade moves it."""

METADATA_VERSION: Final = METADATA_VERSIONS[KAFKA_VERSION]


class Authentication(StrEnum):
    """How a service proves who it is to the brokers; Strimzi's words."""

    TLS = "tls"
    SCRAM = "scram-sha-512"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What one pod gets. `memory` is requested and limit alike, `heap` is what of it the JVM takes."""

    cpu: str
    memory: str
    heap: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """One persistent volume a broker. `storage_class` None is the cluster's default."""

    size: str
    storage_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePods:
    """How the platform's own services run. `replicas` is the fewest; a service never has more pods than the
    partitions that it can share."""

    image: str
    replicas: int
    machine: Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What each service may take of a broker: bytes a second, and percent of the request threads."""

    producer_byte_rate: int
    consumer_byte_rate: int
    request_percentage: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One environment on Kubernetes. `controllers` 0 means that brokers are controllers as well.

    `config` are broker settings beyond those that follow from the contract. `rack_key` is the node label that
    brokers are spread over; None on one machine.
    """

    name: str
    namespace: str
    services_namespace: str
    monitoring_namespace: str
    kafka_version: str
    metadata_version: str
    controllers: int
    broker: Machine
    broker_storage: Storage
    controller: Machine | None
    controller_storage: Storage | None
    rack_key: str | None
    cruise_control: bool
    authentication: Authentication
    quota: Quota | None
    services: ServicePods
    config: Mapping[str, str | int | bool] = field(default_factory=dict)
