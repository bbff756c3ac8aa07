"""What Strimzi's resources have in common: their API, and the label that ties them to a cluster."""

from collections.abc import Mapping
from typing import Final

from trunkline.catalogue.cluster import Cluster
from trunkline.catalogue.model import Environment
from trunkline.deploy.resource import Body, Field, Resource

API_VERSION: Final = "kafka.strimzi.io/v1"
"""The only one since Strimzi 1.0."""

CLUSTER_LABEL: Final = "strimzi.io/cluster"
"""Without it, or with another cluster's name, an operator ignores the resource and says nothing."""


def strimzi_resource(
    kind: str,
    name: str,
    *,
    cluster: Cluster,
    spec: Body,
    annotations: Mapping[str, str] | None = None,
    why: Mapping[Field, str] | None = None,
) -> Resource:
    """A resource that belongs to the cluster's Kafka."""
    return Resource(
        api_version=API_VERSION,
        kind=kind,
        name=name,
        namespace=cluster.namespace,
        labels={CLUSTER_LABEL: cluster.name},
        annotations=annotations or {},
        body={"spec": spec},
        why=why or {},
    )


def is_disposable(environment: Environment) -> bool:
    """Whether its data may go with it: one broker with one copy of everything, where a lost disk loses it all
    anyway. Several brokers are somebody's real cluster, whatever its replication."""
    return environment.brokers == environment.replication_factor == 1
