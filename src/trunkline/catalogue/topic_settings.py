"""How every topic is kept: partitions, replicas, and all that a topic's own configuration has to say."""

from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue, Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """One topic as an environment keeps it. `config` is by Kafka's names, its values as Kafka writes them."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def topic_settings(catalogue: Catalogue, environment: str) -> tuple[TopicSettings, ...]:
    """The contract's topics in its order, then the backbone's own.

    Each names all that the contract promises, also where brokers have the same default: a topic alone then
    says what holds. Raises `InvalidInput` for an environment that the catalogue does not have.
    """
    kept = catalogue.environment(environment)
    contract = (
        _settings(name, catalogue.partitions(name, environment), kept, {}) for name in catalogue.topics
    )
    internal = (_settings(topic.name, 1, kept, topic.config) for topic in INTERNAL_TOPICS)
    return (*contract, *internal)


def _settings(name: str, partitions: int, kept: Environment, config: Mapping[str, str]) -> TopicSettings:
    return TopicSettings(
        name=name,
        partitions=partitions,
        replication_factor=kept.replication_factor,
        config={
            "cleanup.policy": "delete",
            "compression.type": kept.compression,
            "max.message.bytes": str(kept.max_message_bytes),
            "min.insync.replicas": str(kept.min_insync_replicas),
            # Time alone ends a record.
            "retention.bytes": "-1",
            "retention.ms": str(kept.retention_ms),
            **config,
        },
    )
