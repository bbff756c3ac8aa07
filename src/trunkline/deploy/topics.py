"""The KafkaTopics: the contract's, and those that the backbone keeps for itself.

A setting that a KafkaTopic does not name is reset to the brokers' default by Strimzi's topic operator. So
each names all that the contract promises, and alone says what holds.
"""

from collections.abc import Iterable, Mapping

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue, Environment
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.strimzi import strimzi_resource

_PARTITIONS: Field = ("spec", "partitions")


def topics(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """A KafkaTopic for each topic; its resource has the topic's own name, which is a DNS-1123 subdomain."""
    kept = catalogue.environment(environment)
    for topic in catalogue.topics.values():
        yield _topic(
            topic.name,
            topic.partitions[environment],
            {"retention.ms": kept.retention_ms},
            environment=kept,
            cluster=cluster,
            why={
                _PARTITIONS: "More of them move tenants; `trunkline topics grow` keeps their events in order."
            },
        )
    for internal in INTERNAL_TOPICS:
        yield _topic(
            internal.name,
            1,
            {
                name: int(value) if value.lstrip("-").isdigit() else value
                for name, value in internal.config.items()
            },
            environment=kept,
            cluster=cluster,
            why={_PARTITIONS: "For good: its records have one order."},
        )


def _topic(
    name: str,
    partitions: int,
    config: Mapping[str, str | int],
    *,
    environment: Environment,
    cluster: Cluster,
    why: Mapping[Field, str],
) -> Resource:
    return strimzi_resource(
        "KafkaTopic",
        name,
        cluster=cluster,
        spec={
            "partitions": partitions,
            "replicas": environment.replication_factor,
            "config": {
                "cleanup.policy": "delete",
                "compression.type": environment.compression,
                "max.message.bytes": environment.max_message_bytes,
                "min.insync.replicas": environment.min_insync_replicas,
                **config,
            },
        },
        why=why,
    )
