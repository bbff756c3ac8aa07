"""What a cluster has of the catalogue's topics, and its ACLs: read once, through the Admin API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka import Admin, ClusterState, Partition, TopicState
from trunkline.client.kafka.acls import Acls, Binding
from trunkline.operate.topics import LiveTopic, keeps_longer

OPEN_WITHOUT_ACL: Final = "allow.everyone.if.no.acl.found"
"""A setting of Kafka's authoriser, not of the broker's own: it is told only where it is set."""

KAFKA_S_OWN: Final = ("__", "strimzi.")
"""How the topics begin that brokers, Cruise Control and Strimzi's canary keep for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A cluster. `acls` is None where it has no authoriser; `others` are the topics of somebody else.

    `is_open` is where everybody may do everything with what no ACL is about, or perhaps.
    """

    cluster_id: str
    topics: Mapping[str, LiveTopic]
    acls: frozenset[Binding] | None
    is_open: bool = False
    others: tuple[str, ...] = ()


def read_live(connection: ConnectionOptions, catalogue: Catalogue, environment: str, *, now_ms: int) -> Live:
    """Look at everything that the catalogue says something about. Changes nothing.

    `now_ms` is Unix time. Needs Describe and DescribeConfigs on the topics and on the cluster. Raises
    `ClusterUnavailable` within seconds, `KafkaFailed` naming the right that is missing, and `InvalidInput`
    for an environment that the catalogue does not have.
    """
    wanted = {topic.name: topic for topic in topic_settings(catalogue, environment)}
    admin = Admin(admin_config(connection))
    cluster_id = admin.cluster_id()
    found = admin.describe(wanted)
    configs = admin.topic_config(found)
    state = admin.cluster()
    everything = {name for name, _ in state.partitions}
    listed = Acls(admin.config).listed()
    return Live(
        cluster_id=cluster_id,
        topics={
            name: _topic(admin, one, state, configs[name], wanted[name], now_ms=now_ms)
            for name, one in found.items()
        },
        acls=listed,
        is_open=listed is not None and _is_open(admin, state),
        others=tuple(sorted(name for name in everything - wanted.keys() if not name.startswith(KAFKA_S_OWN))),
    )


def _is_open(admin: Admin, state: ClusterState) -> bool:
    """Of any broker: they have to agree, or rights would depend on who is asked.

    Brokers hide the values of settings that are not their own. So one that is set counts as open, unless it
    is told to be false.
    """
    return admin.broker_config(min(state.brokers)).get(OPEN_WITHOUT_ACL, "false").lower() != "false"


def _topic(
    admin: Admin,
    found: TopicState,
    state: ClusterState,
    config: Mapping[str, str],
    wanted: TopicSettings,
    *,
    now_ms: int,
) -> LiveTopic:
    name = found.name
    partitions = {key: one for key, one in state.partitions.items() if key[0] == name}
    led = [(name, number) for number in range(found.partitions) if number not in found.leaderless]
    offsets = admin.offsets(led)
    at_ms = now_ms - int(wanted.config["retention.ms"])
    return LiveTopic(
        name=name,
        partitions=found.partitions,
        # Of a new topic one broker may know more than another.
        replicas=frozenset(len(one.replicas) for one in partitions.values())
        or frozenset({found.replication_factor}),
        in_sync=min((len(one.in_sync) for one in partitions.values()), default=found.replication_factor),
        config=config,
        own=admin.overrides(name),
        was_written=any(high for _, high in offsets.values()),
        expiring=_older(admin, offsets, at_ms) if keeps_longer(config, wanted.config) else 0,
        leaderless=len(found.leaderless),
    )


def _older(admin: Admin, offsets: Mapping[Partition, tuple[int, int]], at_ms: int) -> int:
    """How many records are older than this."""
    since = admin.offsets_since(offsets, max(0, at_ms))
    return sum(
        (high if since[key] < 0 else max(low, since[key])) - low for key, (low, high) in offsets.items()
    )
