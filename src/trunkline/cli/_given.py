"""A cluster that is there, to which each service comes with its own credentials, as its pod would.

The credentials are Secrets' files, a directory for each, as Strimzi's operators write them and `kubectl get
secret` shows them. What `trunkline` is told of the connection is what a rendered Deployment tells it, with
these directories for the pod's.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.catalogue.access import Asset, Kind, Operation, holders, rights
from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.internal import GROWTH_JOURNAL, INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue
from trunkline.cli import _connection
from trunkline.cli._processes import inherited
from trunkline.client.admin import check_reachable
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import KafkaFailed, TopicMissing
from trunkline.client.kafka import Admin
from trunkline.client.kafka.survey import ABSENT, Survey
from trunkline.deploy import connecting
from trunkline.errors import InvalidInput

NAMED_MAX: Final = 3
"""How many topics an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenCluster:
    """Its address, the directory of the Secrets, and how the environment's users prove who they are."""

    bootstrap_servers: str
    secrets: Path
    environment: str
    cluster: Cluster

    def variables(self, service: str) -> dict[str, str]:
        """What a process is told of the connection, by variable, so that it is this service there."""
        places = connecting.Places(
            bootstrap_servers=self.bootstrap_servers,
            cluster_ca=str(self.secrets / connecting.ca_secret(self.cluster)),
            user=str(self.secrets / service),
        )
        return connecting.variables(service, self.cluster, places)

    def surroundings(self, service: str) -> dict[str, str]:
        """The whole environment of a child: this one's, without who this one is."""
        known = inherited(_connection.without_security(os.environ))
        return {**known, **self.variables(service)}

    def connection(self, service: str) -> ConnectionOptions:
        """The same for a client in this process. Raises `InvalidInput` for a password that is not there."""
        security = _connection.of_environment(self.variables(service))
        return ConnectionOptions(
            bootstrap_servers=self.bootstrap_servers,
            client_id=service,
            security=_connection.with_password(security, where=f"the Secrets in {self.secrets}"),
        )

    def require_secrets(self, services: Iterable[str]) -> None:
        """Raises `InvalidInput` that names what is missing."""
        keys: dict[str, Sequence[str]] = {connecting.ca_secret(self.cluster): ("ca.crt",)}
        keys |= {service: connecting.user_files(self.cluster) for service in services}
        wanted = [Path(secret, key) for secret, names in keys.items() for key in names]
        missing = [str(file) for file in wanted if not (self.secrets / file).is_file()]
        if missing:
            raise InvalidInput(
                f"--secrets {self.secrets} has no {_some(missing)}; it takes a directory for each Secret of "
                f"environment {self.environment}, with a file for each key"
            )


def require_empty(given: GivenCluster, catalogue: Catalogue) -> None:
    """That every service is let in, that all topics and rights are there, and that nothing has happened yet.

    Raises `InvalidInput` for a cluster that is in use or not set up, `ClusterUnavailable` and `KafkaFailed`.
    """
    services = list(catalogue.services)
    given.require_secrets(services)
    with ThreadPoolExecutor(len(services)) as asking:
        list(asking.map(lambda service: _let_in(given, service), services))
        list(asking.map(lambda service: _require_rights(given, catalogue, service), services))
        counted = asking.map(lambda item: _records(given, *item), _by_reader(catalogue).items())
        records = {topic: number for found in counted for topic, number in found.items() if number}
        members = list(asking.map(lambda service: _members(given, catalogue, service), services))
    if records:
        found = [f"{number:,} in {topic}" for topic, number in records.items()]
        raise InvalidInput(
            f"the demo counts everything, and there are records on {given.bootstrap_servers} already: "
            f"{_some(found)}; give it an empty cluster"
        )
    if running := [service for service, number in zip(services, members, strict=True) if number]:
        raise InvalidInput(
            f"the demo runs the services itself, and on {given.bootstrap_servers} there run already: "
            f"{_some(running)}; end them, or give it a cluster of its own"
        )


def reader_of(catalogue: Catalogue, topic: str) -> str:
    """The first service that may read a topic: every topic has one."""
    return holders(catalogue, Operation.READ, Asset(Kind.TOPIC, topic))[0]


def _by_reader(catalogue: Catalogue) -> Mapping[str, list[str]]:
    """The topics whose records would be counted, by a service that may read them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    internal = [topic.name for topic in INTERNAL_TOPICS if topic != GROWTH_JOURNAL]
    for topic in (*catalogue.topics, *internal):
        found[reader_of(catalogue, topic)].append(topic)
    return found


def _let_in(given: GivenCluster, service: str) -> None:
    try:
        check_reachable(given.connection(service))
    except InvalidInput as error:
        raise InvalidInput(f"{service}: {error}") from error
    except KafkaFailed as error:
        raise KafkaFailed(error.code, f"{service}: {error}") from error


def _require_rights(given: GivenCluster, catalogue: Catalogue, service: str) -> None:
    """Those on topics, as the brokers tell them (KIP-430); without one the services would wait for it."""
    setting_up = f"run `trunkline apply --environment {given.environment}` first"
    wanted = {one.name: one.operations for one in rights(catalogue, service) if one.resource is Kind.TOPIC}
    told = Survey(admin_config(given.connection(service))).topics(wanted)
    if missing := [name for name, one in told.items() if one.code in ABSENT]:
        raise TopicMissing(f"{given.bootstrap_servers} has no topic {_some(missing)}; {setting_up}")
    if denied := [
        f"{operation} on {name}"
        for name, one in told.items()
        for operation in wanted[name]
        if one.code or (one.operations is not None and operation.value not in one.operations)
    ]:
        raise InvalidInput(f"{given.bootstrap_servers} denies {service} {_some(denied)}; {setting_up}")


def _records(given: GivenCluster, service: str, topics: Sequence[str]) -> dict[str, int]:
    admin = Admin(admin_config(given.connection(service)))
    counts = dict.fromkeys(topics, 0)
    there = admin.describe(topics).values()
    partitions = [(topic.name, number) for topic in there for number in range(topic.partitions)]
    for (topic, _), (low, high) in admin.offsets(partitions).items():
        counts[topic] += high - low
    return counts


def _members(given: GivenCluster, catalogue: Catalogue, service: str) -> int:
    """Of the service's group; one that shares nothing has none."""
    if not catalogue.shared_by(service):
        return 0
    admin = Admin(admin_config(given.connection(service)))
    # On a new cluster the group's coordinator is made when it is first asked for; this waits until it is.
    admin.committed(service)
    return admin.member_counts([service]).get(service, 0)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
