"""The rights as ACLs of a plain Kafka, where no operator makes them of KafkaUsers. Values only."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.catalogue.access import (
    Kind,
    Operation,
    Pattern,
    Right,
    exporter_rights,
    operator_rights,
    rights,
)
from trunkline.catalogue.model import Catalogue
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.users import OPERATOR

ANY_HOST: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Acl:
    """One binding of Kafka's that allows, from any host. `principal` is as Kafka writes it: `User:NAME`."""

    principal: str
    resource: Kind
    name: str
    pattern: Pattern
    operation: Operation
    host: str = ANY_HOST


def acls(catalogue: Catalogue, *, principals: Mapping[str, str] | None = None) -> tuple[Acl, ...]:
    """Every binding of the services, the exporter and the operator, sorted.

    `principals` says whom the cluster takes a user for where that is not the name with `User:` before it,
    such as the subject of a certificate.
    """
    known = principals or {}
    return tuple(
        sorted(
            acl
            for name, granted in _holders(catalogue)
            for acl in bindings(granted, known.get(name, f"User:{name}"))
        )
    )


def bindings(granted: Iterable[Right], principal: str) -> Iterator[Acl]:
    """One binding for each operation: Kafka's ACLs have one each."""
    for right in granted:
        for operation in right.operations:
            yield Acl(
                principal=principal,
                resource=right.resource,
                name=right.name,
                pattern=right.pattern,
                operation=operation,
            )


def _holders(catalogue: Catalogue) -> Iterator[tuple[str, tuple[Right, ...]]]:
    for service in catalogue.services:
        yield service, rights(catalogue, service)
    yield EXPORTER, exporter_rights(catalogue)
    yield OPERATOR, operator_rights(catalogue)
