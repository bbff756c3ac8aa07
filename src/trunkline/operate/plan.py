"""What has to be done so that an environment is as the catalogue says, with the risk of each change.

Three are compared: the catalogue, the resources (in files or in a Kubernetes API) and the cluster itself.
Where the resources are right and the cluster is not, somebody has changed Kafka behind them, or an operator
has not got there yet; where the resources differ, they were edited or never rendered anew.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from trunkline.catalogue.cluster import Authentication
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.topic_settings import topic_settings
from trunkline.deploy.acls import acls
from trunkline.deploy.resource import Resource
from trunkline.deploy.scope import EXPORTER
from trunkline.deploy.users import OPERATOR
from trunkline.errors import InvalidInput
from trunkline.operate.acls import acl_changes, wanted_bindings
from trunkline.operate.change import Change, Risk, worst
from trunkline.operate.convergence import convergence
from trunkline.operate.live import Live
from trunkline.operate.manifests import Key, Manifest
from trunkline.operate.resources import resource_changes
from trunkline.operate.topics import topic_changes

NAME: Final = "{name}"
"""What stands for the user in a principal's template."""

NAMED_MAX: Final = 5
"""How many topics of others a note names."""

WITHOUT_AUTHORISER: Final = (
    "the cluster has no authoriser: everybody may do everything, so no ACL was compared"
)
BY_OPERATORS: Final = (
    "Strimzi's operators write the cluster: they mend it within two minutes of the resource being right and "
    "tell in its status if they cannot"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes, resources first. `notes` say what was not compared, and why."""

    environment: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def risk(self) -> Risk | None:
        """The gravest of all changes."""
        return worst(self.changes)


def principals(catalogue: Catalogue, environment: str, template: str | None = None) -> dict[str, str]:
    """What the cluster takes each user for: services, exporter and operator.

    Without a template it follows from how the environment's users prove who they are. Kafka takes the subject
    of a certificate, which Strimzi makes `CN=` and the name. Raises `InvalidInput` for a template without
    `{name}`.
    """
    if template is None:
        cluster = catalogue.environment(environment).cluster
        certificates = cluster is not None and cluster.authentication is Authentication.TLS
        template = f"User:CN={NAME}" if certificates else f"User:{NAME}"
    if NAME not in template or not template.startswith("User:"):
        raise InvalidInput(
            f"--principal {template!r}: begins with User: and has {NAME}, as in User:CN={NAME}"
        )
    return {name: template.replace(NAME, name) for name in (*catalogue.services, EXPORTER, OPERATOR)}


def cluster_plan(
    catalogue: Catalogue,
    environment: str,
    live: Live,
    *,
    known_as: Mapping[str, str],
    operated: bool,
    known: Collection[str] = (),
) -> Plan:
    """The cluster against the catalogue. `known_as` is from `principals`; `known` are principals of others.

    `operated` says that Strimzi's operators write the cluster, so that nobody else shall.
    """
    wanted = topic_settings(catalogue, environment)
    changes = topic_changes(wanted, live.topics)
    notes = []
    if live.acls is None:
        notes.append(WITHOUT_AUTHORISER)
    else:
        given = wanted_bindings(acls(catalogue, principals=known_as))
        changes += acl_changes(
            given,
            [one for one in live.acls if one.principal not in known],
            [topic.name for topic in wanted],
            # On Strimzi the resource says that it is not.
            is_open=live.is_open and not operated,
        )
    if live.others:
        more = len(live.others) - NAMED_MAX
        names = ", ".join(live.others[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        notes.append(f"topics that are not the catalogue's, and were left alone: {names}")
    return Plan(
        environment=environment,
        changes=tuple(_operated(changes) if operated else changes),
        notes=tuple(notes),
    )


def resource_plan(
    environment: str, wanted: Iterable[Resource], found: Mapping[Key, Manifest], *, have_status: bool
) -> Plan:
    """The resources against the catalogue, and what operators say of those that are there.

    `have_status` is for resources of a Kubernetes API; manifests in files have no status.
    """
    changes = resource_changes(wanted, found)
    if have_status:
        changes += convergence(found.values())
    return Plan(environment=environment, changes=tuple(changes))


def joined(environment: str, plans: Iterable[Plan]) -> Plan:
    """Several plans as one, in their order."""
    every = list(plans)
    return Plan(
        environment=environment,
        changes=tuple(change for plan in every for change in plan.changes),
        notes=tuple(note for plan in every for note in plan.notes),
    )


def _operated(changes: Iterable[Change]) -> Iterable[Change]:
    return (replace(change, remedy=change.remedy or BY_OPERATORS) for change in changes)
