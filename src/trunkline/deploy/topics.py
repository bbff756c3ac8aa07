"""The KafkaTopics: the contract's, and those that the backbone keeps for itself.

A setting that a KafkaTopic does not name is reset to the brokers' default by Strimzi's topic operator. So
each names all that the contract promises, and alone says what holds.
"""

from collections.abc import Iterable
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import TopicSettings, topic_settings
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.strimzi import strimzi_resource

GROWING_WHY: Final = "More of them move tenants; `trunkline topics grow` keeps their events in order."
FOR_GOOD_WHY: Final = "For good: its records have one order."

_PARTITIONS: Field = ("spec", "partitions")
_INTERNAL: Final = frozenset(topic.name for topic in INTERNAL_TOPICS)


def topics(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:
    """A KafkaTopic for each topic; its resource has the topic's own name, which is a DNS-1123 subdomain."""
    for topic in topic_settings(catalogue, environment):
        yield _topic(topic, cluster)


def _topic(topic: TopicSettings, cluster: Cluster) -> Resource:
    return strimzi_resource(
        "KafkaTopic",
        topic.name,
        cluster=cluster,
        spec={
            "partitions": topic.partitions,
            "replicas": topic.replication_factor,
            "config": {name: _typed(value) for name, value in topic.config.items()},
        },
        why={_PARTITIONS: FOR_GOOD_WHY if topic.name in _INTERNAL else GROWING_WHY},
    )


def _typed(value: str) -> str | int:
    return int(value) if value.lstrip("-").isdigit() else value
