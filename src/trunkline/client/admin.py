"""The contract against the cluster: what is there, what is missing, who is behind."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import TopicMissing
from trunkline.client.kafka import Admin, Partition, TopicState
from trunkline.client.lag import Lag, lag_of, read_by


class Standing(StrEnum):
    """How a topic of the contract stands on the cluster."""

    CREATED = "created"
    EXISTING = "existing"
    DIFFERENT = "different"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsuredTopic:
    """One topic after `ensure_topics`. `differences` are sentences such as `partitions: 3, contract 6`."""

    name: str
    standing: Standing
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicView:
    """One topic of the contract as the cluster has it; `offsets` holds first and next offset by partition."""

    name: str
    publisher: str
    consumers: tuple[str, ...]
    standing: Standing
    partitions: int
    offsets: Mapping[int, tuple[int, int]]


def check_reachable(connection: ConnectionOptions) -> str:
    """The cluster's id. Raises `ClusterUnavailable` within seconds, naming what to set."""
    return Admin(admin_config(connection)).cluster_id()


def require_topics(connection: ConnectionOptions, names: Iterable[str]) -> None:
    """For who is about to publish: an event would only fail by itself, and late.

    Raises `TopicMissing` for a topic that the cluster does not have, `ClusterUnavailable`, `KafkaFailed`.
    """
    wanted = list(names)
    there = Admin(admin_config(connection)).describe(wanted)
    if missing := [name for name in wanted if name not in there]:
        raise TopicMissing(
            f"the cluster at {connection.bootstrap_servers} has no topic {', '.join(missing)}; run "
            "`trunkline topics create` first, or correct --bootstrap-servers or TRUNKLINE_BOOTSTRAP_SERVERS"
        )


def ensure_topics(
    connection: ConnectionOptions, catalogue: Catalogue, environment: str
) -> list[EnsuredTopic]:
    """Create the contract's topics where they are missing; existing ones are compared and never changed.

    The backbone's own topics are created beside them and not reported. Raises `ClusterUnavailable`,
    `KafkaFailed`, and `InvalidInput` for an unknown environment.
    """
    wanted = topic_settings(catalogue, environment)
    admin = Admin(admin_config(connection))
    there = admin.describe(topic.name for topic in wanted)
    configs = admin.topic_config(there)
    ensured = []
    for topic in wanted:
        if topic.name in there:
            differences = _differences(there[topic.name], configs[topic.name], topic)
            standing = Standing.DIFFERENT if differences else Standing.EXISTING
            ensured.append(EnsuredTopic(name=topic.name, standing=standing, differences=differences))
        else:
            created = create_topic(admin, topic)
            ensured.append(
                EnsuredTopic(name=topic.name, standing=Standing.CREATED if created else Standing.EXISTING)
            )
    return [topic for topic in ensured if topic.name in catalogue.topics]


def create_topic(admin: Admin, topic: TopicSettings) -> bool:
    """Create it; False if another has done so meanwhile. Raises `ClusterUnavailable`, `KafkaFailed`."""
    return admin.create(
        topic.name,
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config=topic.config,
    )


def topic_views(connection: ConnectionOptions, catalogue: Catalogue) -> list[TopicView]:
    """The contract's topics in its order. Raises `ClusterUnavailable`, `KafkaFailed`."""
    admin = Admin(admin_config(connection))
    there = admin.describe(catalogue.topics)
    offsets = admin.offsets(_partitions(there.values()))
    return [
        TopicView(
            name=topic.name,
            publisher=topic.publisher,
            consumers=topic.consumers,
            standing=Standing.EXISTING if topic.name in there else Standing.MISSING,
            partitions=there[topic.name].partitions if topic.name in there else 0,
            offsets={
                number: bounds for (name, number), bounds in sorted(offsets.items()) if name == topic.name
            },
        )
        for topic in catalogue.topics.values()
    ]


def group_lag(connection: ConnectionOptions, catalogue: Catalogue, group: str | None = None) -> list[Lag]:
    """The lag of one group, or of every service of the contract whose group has committed something.

    A partition that a service consumes and has never committed counts from its first record. Raises
    `ClusterUnavailable`, `KafkaFailed`.
    """
    admin = Admin(admin_config(connection))
    groups = list(catalogue.services) if group is None else [group]
    committed = {name: admin.committed(name) for name in groups}
    if group is None:
        committed = {name: offsets for name, offsets in committed.items() if offsets}
    # Of no other topics: a service may not describe those that it has nothing to do with.
    shared = {
        topic.name for name in groups if name in catalogue.services for topic in catalogue.shared_by(name)
    }
    there = admin.describe(shared)
    counts = {topic.name: topic.partitions for topic in there.values()}
    wanted = {
        name: read_by(catalogue, name, counts=counts, committed=offsets)
        for name, offsets in committed.items()
    }
    bounds = admin.offsets({key for keys in wanted.values() for key in keys})
    return [
        lag_of(name, key, committed=committed[name].get(key), bounds=bounds[key])
        for name, keys in wanted.items()
        for key in sorted(keys)
    ]


def _partitions(topics: Iterable[TopicState]) -> list[Partition]:
    return [(topic.name, number) for topic in topics for number in range(topic.partitions)]


def _differences(topic: TopicState, config: Mapping[str, str], wanted: TopicSettings) -> tuple[str, ...]:
    pairs = [
        ("partitions", str(topic.partitions), str(wanted.partitions)),
        ("replication factor", str(topic.replication_factor), str(wanted.replication_factor)),
        *((name, config.get(name, "absent"), value) for name, value in wanted.config.items()),
    ]
    return tuple(f"{name}: {found}, contract {asked}" for name, found, asked in pairs if found != asked)
