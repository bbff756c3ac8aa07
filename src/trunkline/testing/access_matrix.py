"""Every user's every right, tried on a real cluster and compared with what the catalogue gives.

A right too few and a right too many are both deviations. What Kafka's other kinds of clients do is left out:
nobody but brokers has ClusterAction, and IdempotentWrite follows from any Write (KIP-679).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.access import (
    CLUSTER_NAME,
    READER_GROUP,
    Asset,
    Kind,
    Operation,
    Right,
    exporter_rights,
    operator_rights,
    rights,
)
from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue
from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.kafka.trying import Tries
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.users import OPERATOR

TOPIC_OPERATIONS: Final = (
    Operation.DESCRIBE,
    Operation.READ,
    Operation.WRITE,
    Operation.ALTER,
    Operation.DELETE,
    Operation.CREATE,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)
GROUP_OPERATIONS: Final = (Operation.DESCRIBE, Operation.READ, Operation.DELETE)
CLUSTER_OPERATIONS: Final = (
    Operation.DESCRIBE,
    Operation.CREATE,
    Operation.ALTER,
    Operation.DESCRIBE_CONFIGS,
    Operation.ALTER_CONFIGS,
)

SECOND: Final = "-2"
"""Of a service's second group: its prefix lets it have one, and nobody else."""

CUT_OFF: Final = "audit"
"""A name that a service's begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What the brokers answered, and what the catalogue says that they should."""

    user: str
    operation: Operation
    asset: Asset
    allowed: bool
    expected: bool

    @property
    def deviates(self) -> bool:
        return self.allowed is not self.expected

    def __str__(self) -> str:
        does, should = ("may", "may not") if self.allowed else ("may not", "may")
        return f"{self.user} {does} {self.operation} {self.asset.kind} {self.asset.name}, and {should}"


def user_rights(catalogue: Catalogue) -> Mapping[str, Sequence[Right]]:
    """Everybody who has a principal, in catalogue order: the services, the exporter, the operator."""
    return {
        **{str(service): rights(catalogue, service) for service in catalogue.services},
        EXPORTER: exporter_rights(catalogue),
        OPERATOR: operator_rights(catalogue),
    }


def topics(catalogue: Catalogue) -> tuple[str, ...]:
    """Those of the contract and those of the backbone itself."""
    return (*catalogue.topics, *(topic.name for topic in INTERNAL_TOPICS))


def groups(catalogue: Catalogue) -> tuple[str, ...]:
    """Every service's group and a second one of its, the readers', and one that is nobody's."""
    own = [name for service in catalogue.services for name in (service, f"{service}{SECOND}")]
    return (*own, READER_GROUP, CUT_OFF)


def tried_by(user: str, connection: ConnectionOptions, catalogue: Catalogue) -> list[Tried]:
    """Every operation on every topic and group and on the cluster, tried as this user.

    The topics exist and the groups do not; both are so afterwards, unless somebody may delete a group who
    should not. Raises `ClusterUnavailable`, `KafkaFailed`.
    """
    held = user_rights(catalogue)[user]
    return [
        Tried(
            user=user,
            operation=operation,
            asset=asset,
            allowed=allowed,
            expected=any(right.allows(operation, asset) for right in held),
        )
        for operation, asset, allowed in _answers(Tries(admin_config(connection)), catalogue)
    ]


def _answers(tries: Tries, catalogue: Catalogue) -> Iterator[tuple[Operation, Asset, bool]]:
    wanted = topics(catalogue)
    for operation in TOPIC_OPERATIONS:
        for name, allowed in tries.topics(operation, wanted).items():
            yield operation, Asset(Kind.TOPIC, name), allowed
    for operation in GROUP_OPERATIONS:
        for name, allowed in tries.groups(operation, groups(catalogue), topic=wanted[0]).items():
            yield operation, Asset(Kind.GROUP, name), allowed
    for operation in CLUSTER_OPERATIONS:
        yield operation, Asset(Kind.CLUSTER, CLUSTER_NAME), tries.cluster(operation)
