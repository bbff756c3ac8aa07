"""`trunkline access`: who may do what on the cluster, by the catalogue alone or by a look at the cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _access_audit, _common, _connection, _plan
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties
from trunkline.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from trunkline.catalogue.access import Asset, Decision, Kind, Operation, Right
    from trunkline.catalogue.model import Catalogue

DENIED: Final = 1
"""The exit code where it may not, so that a script can ask."""

HELP: Final = "See who may do what on the cluster."

EXAMPLE: Final = """Tell whether a service may do something, by which right, or who may instead.

The answer is that of Kafka's authoriser for the rights that the catalogue gives, without asking a cluster.
The exit code is 0 where it may and 1 where it may not. OPERATION is one of Kafka's, such as read, write,
describe or alter-configs. With --kind group, transactional-id or cluster, NAME is no topic's.

[bold]Example[/bold]

  trunkline access explain billing-service read query.execution.events

  trunkline access explain audit-service read audit-service --kind group
"""

AUDIT: Final = """Compare every right on a cluster with the catalogue, and tell which was ever used.

Names principals, ACLs, denials, passwords and groups that the catalogue does not know, and rights of its own
that are missing. Then says of each right of its services whether it was used, by what clients have left on
the cluster: committed offsets, records, instances. Some rights leave no trace; with the log of Kafka's
authoriser (kafka.authorizer.logger at DEBUG) those are told, too, and what was denied. Nothing is changed.

The exit code is 0 where all is as the catalogue says, and 3 where something is not. A right that was never
used is no drift.

[bold]Example[/bold]

  trunkline access audit --environment production --bootstrap-servers kafka:9092
"""

app = _common.new_app(HELP)


@app.callback()
def access() -> None:
    """See who may do what on the cluster."""


@app.command(help=EXAMPLE)
def explain(
    *,
    service: Annotated[str, typer.Argument(help="The service, as the catalogue names it.")],
    operation: Annotated[str, typer.Argument(help="Kafka's operation: read, write, describe, alter…")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The topic, or what --kind says.")],
    kind: Annotated[str, typer.Option("--kind", help="topic, group, transactional-id or cluster.")] = "topic",
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.access import decide, holders

    contract = _common.read_catalogue(catalogue)
    contract.service(service)
    asked = _operation(operation)
    asset = _asset(contract, kind, name)
    decision = decide(contract, service, asked, asset)
    others = () if decision.allowed else holders(contract, asked, asset)
    if as_json:
        _common.print_json(
            {
                "service": service,
                "operation": asked.value,
                "resource": {"type": asset.kind.value, "name": asset.name},
                "allowed": decision.allowed,
                "because": decision.because,
                "rights": [_shown(right) for right in decision.rights],
                "may_instead": list(others),
            }
        )
    else:
        _print(service, asked, asset, decision, others)
    if not decision.allowed:
        raise typer.Exit(DENIED)


@app.command(help=AUDIT)
def audit(
    *,
    environment: _plan.EnvironmentName,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    principal: _plan.PrincipalTemplate = None,
    known: _plan.KnownPrincipals = None,
    authorizer_log: Annotated[
        list[Path] | None,
        typer.Option(
            "--authorizer-log",
            metavar="FILE",
            help="A broker's kafka-authorizer.log; give it once for each file of each broker.",
        ),
    ] = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    try:
        from trunkline.operate.access_evidence import audited, look
    except ImportError as error:
        raise Unavailable(
            f"{error}; what services leave behind needs pip install trunkline[services]"
        ) from error
    from trunkline.operate.plan import principals

    contract = _common.read_catalogue(catalogue)
    known_as = principals(contract, environment, principal)
    accepted = _plan.accepted(known or (), known_as.values())
    log = _access_audit.read_log(authorizer_log or ())
    seen = look(_connection.connection(bootstrap_servers, properties=client_properties), contract)
    found = audited(seen, contract, known_as=known_as, accepted=accepted, log=log)
    if as_json:
        _common.print_json(_access_audit.as_json(environment, found))
    else:
        _access_audit.show(environment, found)
    if found.anomalies:
        raise typer.Exit(_plan.DRIFT)


def _print(
    service: str, operation: "Operation", asset: "Asset", decision: "Decision", others: tuple[str, ...]
) -> None:
    may = "may" if decision.allowed else "may not"
    typer.echo(f"{service} {may} {operation} {asset.kind} {asset.name}: {decision.because}")
    for right in decision.rights:
        operations = ", ".join(right.operations)
        typer.echo(f"  by: {operations} on {right.resource} {right.name} ({right.pattern})")
    if not decision.allowed:
        typer.echo(f"  who may: {', '.join(others) or 'no service'}")


def _shown(right: "Right") -> dict[str, object]:
    return {
        "type": right.resource.value,
        "name": right.name,
        "pattern": right.pattern.value,
        "operations": [operation.value for operation in right.operations],
        "because": right.because,
    }


def _operation(text: str) -> "Operation":
    from trunkline.catalogue.access import Operation
    from trunkline.catalogue.model import unknown

    known = {_hyphened(one.value): one for one in Operation}
    found = {_plain(name): one for name, one in known.items()}.get(_plain(text))
    if found is None:
        raise unknown("operation", text.lower(), known)
    return found


def _asset(contract: "Catalogue", kind: str, name: str) -> "Asset":
    """A topic has to be one that is known: a mistyped name would be denied, which is no answer."""
    from trunkline.catalogue.access import CLUSTER_NAME, Asset, Kind
    from trunkline.catalogue.internal import INTERNAL_TOPICS
    from trunkline.catalogue.model import unknown

    found = _kind(kind)
    topics = [*contract.topics, *(topic.name for topic in INTERNAL_TOPICS)]
    if found is Kind.TOPIC and name not in topics:
        raise unknown("topic", name, topics)
    if found is Kind.CLUSTER and name != CLUSTER_NAME:
        raise InvalidInput(f"the cluster's name is {CLUSTER_NAME} for ACLs, not {name!r}")
    return Asset(found, name)


def _kind(text: str) -> "Kind":
    from trunkline.catalogue.access import Kind
    from trunkline.catalogue.model import unknown

    known = {one.value.replace("_", "-"): one for one in Kind}
    found = {_plain(name): one for name, one in known.items()}.get(_plain(text))
    if found is None:
        raise unknown("kind", text, known)
    return found


def _hyphened(name: str) -> str:
    """`AlterConfigs` as the command line has it: `alter-configs`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("-")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
