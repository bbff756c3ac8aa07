"""The contract as values: topics with one publisher each, services, environments."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.names import ServiceName, TopicName
from trunkline.errors import InvalidInput

Deployment: TypeAlias = Literal["strimzi", "embedded"]
Compression: TypeAlias = Literal["none", "gzip", "snappy", "lz4", "zstd"]

NEAR_MAX: Final = 3
"""How many near matches an error suggests."""

MS_PER_DAY: Final = 86_400_000
"""Retention is written in days and kept in milliseconds, Kafka's own unit."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the platform: its principal, its group prefix and its name in every metric."""

    name: ServiceName
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic and who is on either end of it. `partitions` holds a count for every environment.

    `groups` are those of the consumers that share its partitions in a consumer group; the others read all of
    it in every instance.
    """

    name: TopicName
    publisher: ServiceName
    consumers: tuple[ServiceName, ...]
    groups: tuple[ServiceName, ...]
    partitions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """How one environment keeps its topics. `max_message_bytes` bounds a compressed batch, as in Kafka.

    `cluster` is how it is built on Kubernetes; None where it is not.
    """

    name: str
    deployment: Deployment
    brokers: int
    replication_factor: int
    min_insync_replicas: int
    retention_ms: int
    compression: Compression
    max_message_bytes: int
    default_partitions: int
    cluster: Cluster | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The whole contract, loaded and checked. A look-up by name raises `InvalidInput` with near matches."""

    topics: Mapping[TopicName, Topic]
    services: Mapping[ServiceName, Service]
    environments: Mapping[str, Environment]

    def topic(self, name: str) -> Topic:
        """The topic of this name."""
        found = self.topics.get(TopicName(name))
        if found is None:
            raise unknown("topic", name, self.topics)
        return found

    def service(self, name: str) -> Service:
        """The service of this name."""
        found = self.services.get(ServiceName(name))
        if found is None:
            raise unknown("service", name, self.services)
        return found

    def environment(self, name: str) -> Environment:
        """The environment of this name."""
        found = self.environments.get(name)
        if found is None:
            raise unknown("environment", name, self.environments)
        return found

    @property
    def clusters(self) -> Mapping[str, Cluster]:
        """The environments that are built on Kubernetes, by name."""
        found = {name: environment.cluster for name, environment in self.environments.items()}
        return MappingProxyType({name: cluster for name, cluster in found.items() if cluster is not None})

    def cluster(self, environment: str) -> Cluster:
        """How the environment is built on Kubernetes. Raises `InvalidInput` where it is not."""
        found = self.environment(environment).cluster
        if found is None:
            raise InvalidInput(
                f"environment {environment!r} has no `cluster:` in the catalogue, so nothing says how to "
                "build it on Kubernetes; add the section"
            )
        return found

    def published_by(self, service: str) -> tuple[Topic, ...]:
        """The topics this service may write, in catalogue order; empty for one that only consumes."""
        name = self.service(service).name
        return tuple(topic for topic in self.topics.values() if topic.publisher == name)

    def consumed_by(self, service: str) -> tuple[Topic, ...]:
        """The topics this service reads, in catalogue order."""
        name = self.service(service).name
        return tuple(topic for topic in self.topics.values() if name in topic.consumers)

    def shared_by(self, service: str) -> tuple[Topic, ...]:
        """The topics this service reads as a consumer group, in catalogue order."""
        name = self.service(service).name
        return tuple(topic for topic in self.topics.values() if name in topic.groups)

    def partitions(self, topic: str, environment: str) -> int:
        """How many partitions the topic has in the environment."""
        return self.topic(topic).partitions[self.environment(environment).name]


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean a or b?` for the known names that begin so or resemble it, or nothing."""
    names = list(known)
    begun = [candidate for candidate in names if name and candidate.startswith(name)]
    matches = begun[:NEAR_MAX] or difflib.get_close_matches(name, names, n=NEAR_MAX)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> InvalidInput:
    """The error for a name that the catalogue does not have: near matches if any, otherwise all there is."""
    names = list(known)
    return InvalidInput(f"unknown {kind} {name!r}{near(name, names) or '; there are: ' + ', '.join(names)}")
