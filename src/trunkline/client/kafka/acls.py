"""The ACLs of a cluster: listing, creating and deleting bindings."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from enum import Enum
from typing import Any, Final, NamedTuple

import confluent_kafka as ck
from confluent_kafka.admin._acl import (  # the package re-exports these without saying so
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from trunkline.client.config import Config
from trunkline.client.kafka.library import REPLY_SECONDS
from trunkline.client.kafka.requests import Requests
from trunkline.errors import InvalidInput

CLUSTER: Final = "the cluster's ACLs"

_RESOURCES: Final[Mapping[str, ResourceType]] = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional_id": ResourceType.TRANSACTIONAL_ID,
    # The library has one type for a broker and for the cluster, whose number in the protocol is the same.
    "cluster": ResourceType.BROKER,
}
_PATTERNS: Final[Mapping[str, ResourcePatternType]] = {
    "literal": ResourcePatternType.LITERAL,
    "prefix": ResourcePatternType.PREFIXED,
}


class Binding(NamedTuple):
    """One ACL. `resource`, `pattern` and `operation` are named as in `trunkline.catalogue.access`.

    An operation may be `All`, too; a resource that we have no name for has Kafka's, in lower case.
    """

    principal: str
    resource: str
    name: str
    pattern: str
    operation: str
    host: str = "*"
    permission: str = "allow"


class Acls:
    """Calls raise `ClusterUnavailable` within seconds, or `KafkaFailed`."""

    def __init__(self, config: Config) -> None:
        requests = Requests(config)
        self._admin = requests.client
        self._translated = requests.translated

    def listed(self) -> frozenset[Binding] | None:
        """Every binding; None for a cluster that has no authoriser, where everybody may do everything.

        Needs Describe on the cluster.
        """
        with self._translated(CLUSTER):
            try:
                found = self._admin.describe_acls(_EVERY, request_timeout=REPLY_SECONDS).result()
                if not found:
                    self._require_to_be_told()
            except ck.KafkaException as error:
                if error.args[0].code() in _WITHOUT_AUTHORISER:
                    return None
                raise
        return frozenset(_of_library(one) for one in found)

    def _require_to_be_told(self) -> None:
        """The library takes a refusal to list ACLs for an empty list. Raises `KafkaException` for a refusal.

        Brokers say who may describe the cluster (KIP-430), and refuse audibly to delete where they have no
        authoriser. Nobody's bindings are deleted, and whoever may not delete has an authoriser.
        """
        cluster = self._admin.describe_cluster(
            include_authorized_operations=True, request_timeout=REPLY_SECONDS
        ).result()
        if AclOperation.DESCRIBE not in (cluster.authorized_operations or []):
            raise ck.KafkaException(ck.KafkaError(ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED))
        try:
            for future in self._admin.delete_acls([_NOBODYS], request_timeout=REPLY_SECONDS).values():
                future.result()
        except ck.KafkaException as error:
            if error.args[0].code() != ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED:
                raise

    def create(self, bindings: Iterable[Binding]) -> None:
        """Create these; one that is there already stays. Needs Alter on the cluster.

        Raises `InvalidInput` for one that this version of the library cannot say, and creates none then.
        """
        wanted = [_to_library(one, AclBinding) for one in bindings]
        if wanted:
            self._wait(lambda: self._admin.create_acls(wanted, request_timeout=REPLY_SECONDS))

    def delete(self, bindings: Iterable[Binding]) -> None:
        """Delete exactly these; one that is gone already is no error. Needs Alter on the cluster.

        Raises `InvalidInput` as `create` does, and deletes none then.
        """
        wanted = [_to_library(one, AclBindingFilter) for one in bindings]
        if wanted:
            self._wait(lambda: self._admin.delete_acls(wanted, request_timeout=REPLY_SECONDS))

    def _wait(self, ask: Callable[[], Mapping[Any, Future[Any]]]) -> None:
        with self._translated(CLUSTER, "Alter"):
            for future in ask().values():
                future.result()


# None stands for any, though the library's hints say text.
_ANY_TEXT: Final[Any] = None
_EVERY: Final = AclBindingFilter(
    ResourceType.ANY,
    _ANY_TEXT,
    ResourcePatternType.ANY,
    _ANY_TEXT,
    _ANY_TEXT,
    AclOperation.ANY,
    AclPermissionType.ANY,
)
_NOBODYS: Final = AclBindingFilter(
    ResourceType.ANY,
    _ANY_TEXT,
    ResourcePatternType.ANY,
    "User:trunkline-nobody",
    _ANY_TEXT,
    AclOperation.ANY,
    AclPermissionType.ANY,
)
_WITHOUT_AUTHORISER: Final = frozenset(
    # What the embedded broker answers: it knows no ACLs at all.
    {ck.KafkaError.SECURITY_DISABLED, ck.KafkaError._UNSUPPORTED_FEATURE}
)


def _to_library(binding: Binding, make: Callable[..., Any]) -> Any:
    resource, pattern = _RESOURCES.get(binding.resource), _PATTERNS.get(binding.pattern)
    operation, permission = _OPERATIONS.get(binding.operation), _PERMISSIONS.get(binding.permission)
    if resource is None or pattern is None or operation is None or permission is None:
        raise InvalidInput(
            f"the ACL {binding.permission} {binding.principal} {binding.operation} on {binding.resource} "
            f"{binding.name} ({binding.pattern}) is of a kind that Trunkline does not write; change it with "
            "kafka-acls.sh"
        )
    return make(resource, binding.name, pattern, binding.principal, binding.host, operation, permission)


def _of_library(found: AclBinding) -> Binding:
    resources = {kind: name for name, kind in _RESOURCES.items()}
    patterns = {kind: name for name, kind in _PATTERNS.items()}
    return Binding(
        principal=found.principal,
        resource=resources.get(_as(ResourceType, found.restype), str(found.restype).lower()),
        name=found.name,
        pattern=patterns.get(
            _as(ResourcePatternType, found.resource_pattern_type), str(found.resource_pattern_type).lower()
        ),
        operation=_camel(_as(AclOperation, found.operation)),
        host=found.host,
        permission=_as(AclPermissionType, found.permission_type).name.lower(),
    )


def _as(kind: Any, value: Any) -> Any:
    """The library's declared types allow text and numbers, too; what it answers with is the enumeration."""
    return value if isinstance(value, kind) else kind(value)


def _camel(operation: Enum) -> str:
    """`DESCRIBE_CONFIGS` as ACLs have it: `DescribeConfigs`."""
    return "".join(part.capitalize() for part in operation.name.split("_"))


# Without those that stand for any or for what the library does not know: a filter would take too much.
_OPERATIONS: Final[Mapping[str, AclOperation]] = {
    _camel(one): one for one in AclOperation if one not in (AclOperation.ANY, AclOperation.UNKNOWN)
}
_PERMISSIONS: Final[Mapping[str, AclPermissionType]] = {
    "allow": AclPermissionType.ALLOW,
    "deny": AclPermissionType.DENY,
}
