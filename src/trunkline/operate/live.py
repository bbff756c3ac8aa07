"""What a cluster has of the catalogue's topics, and its ACLs: read once, through the Admin API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin, Partition, TopicState
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.operate.topics import LiveTopic, keeps_longer

KAFKA_S_OWN: Final = ("__", "strimzi.")
"""How the topics begin that brokers, Cruise Control and Strimzi's canary keep for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A cluster. `acls` is None where it has no authoriser; `others` are the topics of somebody else."""

    cluster_id: str
    topics: Mapping[str, LiveTopic]
    acls: frozenset[Binding] | None
    others: tuple[str, ...] = ()


def read_live(connection: ConnectionOptions, catalogue: Catalogue, environment: str, *, now_ms: int) -> Live:
    """Look at everything that the catalogue says something about. Changes nothing.

    `now_ms` is Unix time. Needs Describe and DescribeConfigs on the topics, Describe on the cluster. Raises
    `ClusterUnavailable` within seconds, `KafkaFailed` naming the right that is missing, and `InvalidInput`
    for an environment that the catalogue does not have.
    """
    wanted = {topic.name: topic for topic in topic_settings(catalogue, environment)}
    admin = Admin(admin_config(connection))
    cluster_id = admin.cluster_id()
    found = admin.describe(wanted)
    configs = admin.topic_config(found)
    everything = {name for name, _ in admin.cluster().partitions}
    return Live(
        cluster_id=cluster_id,
        topics={
            name: _topic(admin, state, configs[name], wanted[name], now_ms=now_ms)
            for name, state in found.items()
        },
        acls=Acls(admin.config).listed(),
        others=tuple(sorted(name for name in everything - wanted.keys() if not name.startswith(KAFKA_S_OWN))),
    )


def _topic(
    admin: Admin, state: TopicState, config: Mapping[str, str], wanted: TopicSettings, *, now_ms: int
) -> LiveTopic:
    offsets = admin.offsets([(state.name, number) for number in range(state.partitions)])
    shorter = keeps_longer(config.get("retention.ms"), wanted.config["retention.ms"])
    return LiveTopic(
        name=state.name,
        partitions=state.partitions,
        replication_factor=state.replication_factor,
        config=config,
        own=admin.overrides(state.name),
        was_written=any(high for _, high in offsets.values()),
        expiring=(_older(admin, offsets, now_ms - int(wanted.config["retention.ms"])) if shorter else 0),
    )


def _older(admin: Admin, offsets: Mapping[Partition, tuple[int, int]], at_ms: int) -> int:
    """How many records are older than this."""
    since = admin.offsets_since(offsets, max(0, at_ms))
    return sum(
        (high if since[key] < 0 else max(low, since[key])) - low for key, (low, high) in offsets.items()
    )
