"""Who may do what on the cluster: the rights that follow from the contract, and what Kafka makes of them.

Access follows the catalogue. A service writes the topics it publishes, reads those it consumes, and has what
its client needs of the backbone's own topics; everything else is denied, for there is no other rule. The same
rights become KafkaUsers, ACLs of a plain Kafka, and the answer to "may it?" without a cluster.

What a client does without a right of its own, and so is in no list here: learning the cluster's id
(DescribeCluster), and getting an idempotent producer's id (any Write will do since Kafka 2.8, KIP-679).
Nothing is transactional.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.internal import BROADCAST_POSITIONS, ERASURE_RECEIPTS, GROWTH_JOURNAL, TENANT_ENDS
from trunkline.catalogue.model import Catalogue

CLUSTER_NAME: Final = "kafka-cluster"
"""What ACLs call the cluster itself."""

ANY: Final = "*"
"""As the name of a literal pattern: every resource of the kind."""

READER_GROUP: Final = "trunkline-reader"
"""The group that readers without a group name to their library, which wants one: nobody joins it."""

CONFIG_SERVICE, IAM_SERVICE, TENANT_SERVICE = "config-service", "iam-service", "tenant-service"
"""The services that read or write an internal topic as nobody else does."""


class Kind(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional_id"
    CLUSTER = "cluster"


class Pattern(StrEnum):
    """How a right names its resources."""

    LITERAL = "literal"
    PREFIX = "prefix"


class Operation(StrEnum):
    """Kafka's operations on these resources, by their names in ACLs."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DELETE = "Delete"
    ALTER = "Alter"
    DESCRIBE = "Describe"
    CLUSTER_ACTION = "ClusterAction"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    ALTER_CONFIGS = "AlterConfigs"
    IDEMPOTENT_WRITE = "IdempotentWrite"


IMPLIED_BY: Final[Mapping[Operation, frozenset[Operation]]] = MappingProxyType(
    {
        Operation.DESCRIBE: frozenset({Operation.READ, Operation.WRITE, Operation.DELETE, Operation.ALTER}),
        Operation.DESCRIBE_CONFIGS: frozenset({Operation.ALTER_CONFIGS}),
    }
)
"""What else allows an operation: the implications of Kafka's StandardAuthorizer, which has no others."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One resource of a cluster."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """These operations on what the pattern names. `because` says what its holder does with it."""

    resource: Kind
    name: str
    operations: tuple[Operation, ...]
    because: str
    pattern: Pattern = Pattern.LITERAL

    def covers(self, asset: Asset) -> bool:
        """Whether it is about this resource."""
        if self.resource is not asset.kind:
            return False
        if self.pattern is Pattern.PREFIX:
            return asset.name.startswith(self.name)
        return self.name in (asset.name, ANY)

    def allows(self, operation: Operation, asset: Asset) -> bool:
        """Whether it lets its holder do this, by what it says or by what that implies."""
        enough = IMPLIED_BY.get(operation, frozenset()) | {operation}
        return self.covers(asset) and not enough.isdisjoint(self.operations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the cluster answers. `rights` are those that allow it; none where it is denied."""

    allowed: bool
    because: str
    rights: tuple[Right, ...]


def rights(catalogue: Catalogue, service: str) -> tuple[Right, ...]:
    """Everything that the service may do, sorted by resource; one right for each.

    Raises `InvalidInput` for a service that the catalogue does not have.
    """
    name = catalogue.service(service).name
    return _merged([*_contract(catalogue, name), *_group(catalogue, name), *_backbone(catalogue, name)])


def decide(catalogue: Catalogue, service: str, operation: Operation, asset: Asset) -> Decision:
    """What the brokers' StandardAuthorizer answers when the service, with these rights, asks.

    Raises `InvalidInput` for a service that the catalogue does not have.
    """
    found = tuple(right for right in rights(catalogue, service) if right.allows(operation, asset))
    if found:
        return Decision(allowed=True, because="; ".join(right.because for right in found), rights=found)
    return Decision(
        allowed=False, because="no right allows it, and what no right allows is denied", rights=()
    )


def holders(catalogue: Catalogue, operation: Operation, asset: Asset) -> tuple[str, ...]:
    """The services that may do this, in catalogue order."""
    return tuple(name for name in catalogue.services if decide(catalogue, name, operation, asset).allowed)


def exporter_rights(catalogue: Catalogue) -> tuple[Right, ...]:
    """What `trunkline exporter` needs: to see every topic and group, and to read how old a lag is."""
    aged = [topic.name for topic in catalogue.topics.values() if topic.groups]
    return _merged(
        [
            _topic(
                ANY,
                Operation.DESCRIBE,
                because="counts partitions, replicas and offsets of the whole cluster",
            ),
            _any_group(because="counts members and committed offsets of every group"),
            *(
                _topic(name, Operation.READ, because="tells the age of the first unread record")
                for name in aged
            ),
        ]
    )


def operator_rights(catalogue: Catalogue) -> tuple[Right, ...]:
    """What the people need who look after the cluster: `trunkline topics`, `topics grow`, `lag`, `plan`.

    A growth closes and opens its topic by a setting, adds partitions, and writes down what it does. Who may
    do that is no superuser: events can be neither read nor written with it, and no rights granted.
    """
    growing = (Operation.ALTER, Operation.ALTER_CONFIGS)
    return _merged(
        [
            _topic(ANY, Operation.DESCRIBE, because="sees what is there"),
            _topic(ANY, Operation.DESCRIBE_CONFIGS, because="compares settings with the contract"),
            *(
                _topic(name, *growing, because="`topics grow` closes it and adds partitions")
                for name in catalogue.topics
            ),
            _topic(
                GROWTH_JOURNAL.name,
                Operation.READ,
                Operation.WRITE,
                because="`topics grow` writes down its stages",
            ),
            _any_group(because="tells lag, and whether a topic has drained"),
            Right(
                resource=Kind.CLUSTER,
                name=CLUSTER_NAME,
                operations=(Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS),
                because="lists the ACLs and groups of the whole cluster, and how its brokers are set",
            ),
        ]
    )


def _contract(catalogue: Catalogue, service: str) -> Iterator[Right]:
    for topic in catalogue.published_by(service):
        yield _topic(topic.name, Operation.DESCRIBE, Operation.WRITE, because="publishes it")
    for topic in catalogue.consumed_by(service):
        how = "in its group" if service in topic.groups else "in every instance"
        yield _topic(topic.name, Operation.DESCRIBE, Operation.READ, because=f"consumes it {how}")


def _group(catalogue: Catalogue, service: str) -> Iterator[Right]:
    if not catalogue.shared_by(service):
        return
    # A prefix that another service's name begins with would hand over that one's group.
    shared_prefix = any(name != service and name.startswith(service) for name in catalogue.services)
    yield Right(
        resource=Kind.GROUP,
        name=service,
        operations=(Operation.DESCRIBE, Operation.READ),
        because="joins it and commits in it",
        pattern=Pattern.LITERAL if shared_prefix else Pattern.PREFIX,
    )


def _reader() -> Right:
    return Right(
        resource=Kind.GROUP,
        name=READER_GROUP,
        operations=(Operation.DESCRIBE,),
        because="finds its coordinator and joins nothing; denied, it would ask for ever",
    )


def _backbone(catalogue: Catalogue, service: str) -> Iterator[Right]:
    """What the client itself and the end of a tenant take, of topics that are in no contract."""
    yield _reader()
    reading, writing = (Operation.DESCRIBE, Operation.READ), (Operation.DESCRIBE, Operation.WRITE)
    yield _topic(BROADCAST_POSITIONS.name, *writing, because="tells how far it has applied the configuration")
    if service == CONFIG_SERVICE:
        yield _topic(BROADCAST_POSITIONS.name, *reading, because="shows which instance has applied what")
    if catalogue.shared_by(service):
        yield _topic(GROWTH_JOURNAL.name, *reading, because="reads no new partition before the older ones")
    yield _topic(TENANT_ENDS.name, *reading, because="learns which tenants have ended")
    if service == TENANT_SERVICE:
        yield _topic(TENANT_ENDS.name, *writing, because="ends tenants")
    yield _topic(ERASURE_RECEIPTS.name, *writing, because="tells what it has erased of an ended tenant")
    if service == IAM_SERVICE:
        yield _topic(
            ERASURE_RECEIPTS.name, *reading, because="turns receipts into events of the audit ledger"
        )


def _topic(name: str, *operations: Operation, because: str) -> Right:
    return Right(resource=Kind.TOPIC, name=name, operations=operations, because=because)


def _any_group(*, because: str) -> Right:
    return Right(resource=Kind.GROUP, name=ANY, operations=(Operation.DESCRIBE,), because=because)


def _merged(found: Iterable[Right]) -> tuple[Right, ...]:
    """One right for each pattern, with all that any of them allows and every reason."""
    whole: dict[tuple[Kind, str, Pattern], Right] = {}
    for right in found:
        key = (right.resource, right.name, right.pattern)
        before = whole.get(key)
        allowed = {*right.operations, *(before.operations if before else ())}
        whole[key] = replace(
            right,
            operations=tuple(sorted(allowed)),
            because=f"{before.because}; {right.because}" if before else right.because,
        )
    return tuple(whole[key] for key in sorted(whole))
