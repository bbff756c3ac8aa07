"""Metadata and administration of a cluster: its topics, its consumer groups, its brokers."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import confluent_kafka as ck
from confluent_kafka.admin._config import (  # the package re-exports these without saying so
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
)
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewPartitions, NewTopic

from trunkline.client.config import Config
from trunkline.client.kafka.errors import STARTING
from trunkline.client.kafka.library import REPLY_SECONDS
from trunkline.client.kafka.records import Partition
from trunkline.client.kafka.requests import COORDINATOR_SECONDS, Requests, coordinated, of_known_groups

STARTING_POLL_SECONDS: Final = 0.1

_E: Final = ck.KafkaError
_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # no hints there
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # no hints there


class TopicState(NamedTuple):
    """A topic as the cluster has it. `topic_id` is empty where the cluster has none.

    `leaderless` are the partitions that no broker can serve now.
    """

    name: str
    topic_id: str
    partitions: int
    replication_factor: int
    leaderless: frozenset[int] = frozenset()


class Replicas(NamedTuple):
    """Where a partition is, as broker ids. `leader` is -1 while it has none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class ClusterState(NamedTuple):
    """All brokers that are up, as `host:port` by id, and all partitions."""

    brokers: Mapping[int, str]
    partitions: Mapping[Partition, Replicas]


class Admin:
    """Metadata and administration. Calls raise `ClusterUnavailable` within seconds, or `KafkaFailed`."""

    def __init__(self, config: Config) -> None:
        self.config: Final = config
        """What it was built from; a reader of the same cluster needs it."""
        requests = Requests(config)
        self._admin = requests.client
        self._translated = requests.translated

    def cluster_id(self) -> str:
        """The cluster's id."""
        with self._translated():
            return str(self._admin.describe_cluster(request_timeout=REPLY_SECONDS).result().cluster_id)

    def describe(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Those of these topics that exist, by name."""
        wanted = list(names)
        if not wanted:
            return {}
        found: dict[str, TopicState] = {}
        with self._translated():
            futures = self._admin.describe_topics(ck.TopicCollection(wanted), request_timeout=REPLY_SECONDS)
        for name, future in futures.items():
            with self._translated(_topic(name)):
                try:
                    found[name] = _topic_state(future.result())
                except ck.KafkaException as error:
                    if error.args[0].code() != _E.UNKNOWN_TOPIC_OR_PART:
                        raise
        return found

    def topic_config(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The effective configuration of existing topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        found: dict[str, dict[str, str]] = {}
        futures = self._admin.describe_configs(resources, request_timeout=REPLY_SECONDS)
        for resource, future in futures.items():
            with self._translated(_topic(resource.name), "DescribeConfigs"):
                entries = future.result()
                found[resource.name] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def topic_config_at(self, broker: int, name: str) -> dict[str, str]:
        """The effective configuration of a topic as one broker knows it, which may be behind the others."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        with self._translated(_topic(name), "DescribeConfigs"):
            futures = self._admin.describe_configs([resource], broker=broker, request_timeout=REPLY_SECONDS)
            return {key: str(entry.value) for key, entry in futures[resource].result().items()}

    def broker_config(self, broker: int) -> dict[str, str]:
        """What is in force on a broker, also of settings that only its plugins know."""
        resource = ConfigResource(ResourceType.BROKER, str(broker))
        with self._translated("the cluster", "DescribeConfigs"):
            futures = self._admin.describe_configs([resource], broker=broker, request_timeout=REPLY_SECONDS)
            return {key: str(entry.value) for key, entry in futures[resource].result().items()}

    def overrides(self, name: str) -> dict[str, str]:
        """The settings that a topic has of its own, not from its brokers."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        with self._translated(_topic(name), "DescribeConfigs"):
            entries = self._admin.describe_configs([resource], request_timeout=REPLY_SECONDS)[
                resource
            ].result()
        # The adapter gives the source as a bare number; the enumeration's values are those numbers.
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return {key: str(entry.value) for key, entry in entries.items() if entry.source == own}

    def configure(self, name: str, changes: Mapping[str, str | None]) -> None:
        """Set these settings of a topic, or give back to its brokers those that are None."""
        entries = [
            ConfigEntry(
                key,
                value,
                incremental_operation=AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET,
            )
            for key, value in changes.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        with self._translated(_topic(name), "AlterConfigs"):
            self._admin.incremental_alter_configs([resource], request_timeout=REPLY_SECONDS)[
                resource
            ].result()

    def add_partitions(self, name: str, *, total: int) -> None:
        """Give a topic more partitions, so that it has `total`. Keys move; see `trunkline.client.growth`."""
        with self._translated(_topic(name), "Alter"):
            self._admin.create_partitions([NewPartitions(name, total)], request_timeout=REPLY_SECONDS)[
                name
            ].result()

    def committed_on(self, topic: str) -> dict[str, dict[int, int]]:
        """Every group that has committed offsets of a topic, and those offsets by partition.

        Only groups that this client may see. Raises rather than leave out what a broker could not list.
        """
        with self._translated():
            listed = self._admin.list_consumer_groups(request_timeout=REPLY_SECONDS).result()
            if listed.errors:
                raise listed.errors[0]
        everything = self.committed_by(sorted(group.group_id for group in listed.valid))
        return {
            group: own
            for group, offsets in everything.items()
            if (own := {number: offset for (name, number), offset in offsets.items() if name == topic})
        }

    def create(
        self, name: str, *, partitions: int, replication_factor: int, config: Mapping[str, str]
    ) -> bool:
        """Create a topic; False if another has done so meanwhile."""
        topic = NewTopic(name, partitions, replication_factor, config=dict(config))
        with self._translated(_topic(name), "Create"):
            try:
                self._admin.create_topics([topic], request_timeout=REPLY_SECONDS)[name].result()
            except ck.KafkaException as error:
                if error.args[0].code() == _E.TOPIC_ALREADY_EXISTS:
                    return False
                raise
        return True

    def delete(self, name: str) -> None:
        """Delete a topic with everything in it."""
        with self._translated(_topic(name), "Delete"):
            self._admin.delete_topics([name], request_timeout=REPLY_SECONDS)[name].result()

    def offsets(self, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, int]]:
        """The first offset still in the log and the one after the last, of each partition."""
        keys = list(partitions)
        if not keys:
            return {}
        low = self._offsets(keys, _EARLIEST)
        high = self._offsets(keys, _LATEST)
        return {key: (low[key], high[key]) for key in keys}

    def offsets_since(self, partitions: Iterable[Partition], at_ms: int) -> dict[Partition, int]:
        """Of each partition, the first offset whose record is of this Unix time or later; -1 for none."""
        return self._offsets(list(partitions), OffsetSpec.for_timestamp(at_ms))

    def committed(self, group: str) -> dict[Partition, int]:
        """The offsets a group has committed."""
        request = ck.ConsumerGroupTopicPartitions(group)
        with self._translated(_group(group)):
            self._find_coordinators([group])
            answer = self._admin.list_consumer_group_offsets([request], request_timeout=COORDINATOR_SECONDS)
            found = coordinated(answer[group]).topic_partitions or []
        return {(item.topic, item.partition): item.offset for item in found if item.offset >= 0}

    def assigned_topics(self, group: str) -> dict[str, frozenset[str]]:
        """The topics of which each member of a group has partitions now, by its client id and host."""
        with self._translated(_group(group)):
            futures = self._admin.describe_consumer_groups([group], request_timeout=COORDINATOR_SECONDS)
            members = coordinated(futures[group]).members
        found: dict[str, frozenset[str]] = {}
        for member in members:
            name = f"{member.client_id} at {member.host.removeprefix('/')}"
            topics = frozenset(item.topic for item in member.assignment.topic_partitions)
            found[name] = found.get(name, frozenset()) | topics
        return found

    def cluster(self) -> ClusterState:
        """Brokers and partitions of the whole cluster, in one request."""
        with self._translated():
            found = self._admin.list_topics(timeout=REPLY_SECONDS)
        return ClusterState(
            {number: f"{broker.host}:{broker.port}" for number, broker in found.brokers.items()},
            {
                (name, number): Replicas(partition.leader, tuple(partition.replicas), tuple(partition.isrs))
                for name, topic in found.topics.items()
                for number, partition in topic.partitions.items()
            },
        )

    def groups(self) -> list[str]:
        """The consumer groups of those brokers that answer."""
        with self._translated():
            found = self._admin.list_consumer_groups(request_timeout=REPLY_SECONDS).result()
        return [group.group_id for group in found.valid]

    def member_counts(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each of these groups has; without those that are gone."""
        names = list(groups)
        if not names:
            return {}
        with self._translated():
            futures = self._admin.describe_consumer_groups(names, request_timeout=COORDINATOR_SECONDS)
            return {name: len(found.members) for name, found in of_known_groups(futures).items()}

    def committed_by(self, groups: Iterable[str]) -> dict[str, dict[Partition, int]]:
        """As `committed`, of several groups at a time; without those that are gone."""
        with self._translated():
            asked = {
                name: self._admin.list_consumer_group_offsets(
                    [ck.ConsumerGroupTopicPartitions(name)], request_timeout=COORDINATOR_SECONDS
                )[name]
                for name in self._find_coordinators(groups)
            }
            answers = of_known_groups(asked)
        return {
            name: {
                (item.topic, item.partition): item.offset
                for item in found.topic_partitions or []
                if item.offset >= 0
            }
            for name, found in answers.items()
        }

    def _find_coordinators(self, groups: Iterable[str]) -> list[str]:
        """Wait until the coordinators of these groups answer, and give back the groups that there are.

        Asked for offsets, a coordinator that has just moved or still loads would end the process: the library
        follows a null pointer then (librdkafka issue 5040). It survives the same answer to this request.
        """
        names = list(groups)
        deadline = time.monotonic() + REPLY_SECONDS
        while names:
            futures = self._admin.describe_consumer_groups(names, request_timeout=COORDINATOR_SECONDS)
            try:
                return list(of_known_groups(futures))
            except ck.KafkaException as error:
                if error.args[0].code() not in STARTING or time.monotonic() > deadline:
                    raise
            time.sleep(STARTING_POLL_SECONDS)
        return names

    def _offsets(self, keys: Sequence[Partition], spec: OffsetSpec) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        futures = self._admin.list_offsets(
            {ck.TopicPartition(*key): spec for key in keys}, request_timeout=REPLY_SECONDS
        )
        for key, future in futures.items():
            with self._translated(_topic(key.topic)):
                found[key.topic, key.partition] = future.result().offset
        return found


def _topic(name: str) -> str:
    return f"topic {name}"


def _group(name: str) -> str:
    return f"group {name}"


def _topic_state(described: Any) -> TopicState:
    if not described.partitions:
        return TopicState(described.name, str(described.topic_id), 0, 0)
    return TopicState(
        described.name,
        str(described.topic_id),
        len(described.partitions),
        len(described.partitions[0].replicas),
        frozenset(partition.id for partition in described.partitions if partition.leader is None),
    )
