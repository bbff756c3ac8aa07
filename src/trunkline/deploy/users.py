"""The KafkaUsers: one principal for each service, with the catalogue's rights and the environment's quota.

Two more have rights of their own. The exporter's pod looks at the whole cluster, as no service may. And
`trunkline topics grow` changes a topic through the Admin API, so the people who operate the cluster have a
user for that. Neither is a superuser: `trunkline apply` writes resources, and Strimzi does the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from trunkline.catalogue.access import Kind, Pattern, Right, exporter_rights, operator_rights, rights
from trunkline.catalogue.cluster import Authentication, Cluster, Quota
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.resource import Field, Resource
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.strimzi import strimzi_resource
from trunkline.errors import InvalidInput

OPERATOR: Final = "trunkline-operator"
"""The user of people: `trunkline topics grow`, `lag`, `plan`."""

TLS_NAME_CHARACTERS_MAX: Final = 64
"""Of a certificate's common name (RFC 5280, ub-common-name); Strimzi refuses a user of a longer one."""

_TYPES: Final[Mapping[Kind, str]] = {
    Kind.TOPIC: "topic",
    Kind.GROUP: "group",
    Kind.TRANSACTIONAL_ID: "transactionalId",
    Kind.CLUSTER: "cluster",
}


def users(catalogue: Catalogue, environment: str, cluster: Cluster) -> Iterable[Resource]:  # noqa: ARG001 - the signature of all these functions
    """A KafkaUser for each service, and for the exporter and the operator, who have no quota.

    Raises `InvalidInput` for a service whose name no certificate can carry.
    """
    for service in catalogue.services:
        yield _user(service, rights(catalogue, service), cluster, quota=cluster.quota)
    yield _user(EXPORTER, exporter_rights(catalogue), cluster, quota=None)
    yield _user(OPERATOR, operator_rights(catalogue), cluster, quota=None)


def _user(name: str, granted: Sequence[Right], cluster: Cluster, *, quota: Quota | None) -> Resource:
    if cluster.authentication is Authentication.TLS and len(name) > TLS_NAME_CHARACTERS_MAX:
        raise InvalidInput(
            f"service {name!r} has {len(name)} characters, and a certificate's common name at most "
            f"{TLS_NAME_CHARACTERS_MAX}; shorten it, or set `authentication: scram-sha-512`"
        )
    spec: dict[str, Any] = {
        "authentication": {"type": cluster.authentication.value},
        "authorization": {"type": "simple", "acls": [_acl(right) for right in granted]},
    }
    if quota is not None:
        spec["quotas"] = {
            "producerByteRate": quota.producer_byte_rate,
            "consumerByteRate": quota.consumer_byte_rate,
            "requestPercentage": quota.request_percentage,
        }
    return strimzi_resource("KafkaUser", name, cluster=cluster, spec=spec, why=_why(granted, quota))


def _acl(right: Right) -> dict[str, Any]:
    resource = {"type": _TYPES[right.resource]}
    if right.resource is not Kind.CLUSTER:
        # Strimzi knows the cluster's name, and takes neither a name nor a pattern for it.
        resource |= {"name": right.name, "patternType": right.pattern.value}
    return {"resource": resource, "operations": [operation.value for operation in right.operations]}


def _why(granted: Sequence[Right], quota: Quota | None) -> dict[Field, str]:
    acls: Field = ("spec", "authorization", "acls")
    why: dict[Field, str] = {
        (*acls, place, "resource"): f"{right.because[0].upper()}{right.because[1:]}."
        for place, right in enumerate(granted)
    }
    for place, right in enumerate(granted):
        if right.pattern is Pattern.PREFIX:
            why[*acls, place, "resource", "patternType"] = "Groups whose names begin so, for a second one."
    if quota is not None:
        why["spec", "quotas"] = "Of each broker: bytes a second, and percent of a request thread's time."
    return why
