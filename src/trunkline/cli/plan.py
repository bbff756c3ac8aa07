"""`trunkline plan`: the catalogue against resources and cluster; what would change, and what that risks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _plan, _resources
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.operate.kubernetes import KubernetesApi
    from trunkline.operate.plan import Plan

HELP: Final = """Compare the catalogue with resources and cluster: what differs, and what mending it risks.

Resources are looked for in files (--manifests) or in a Kubernetes API (--kubernetes), topics and ACLs on the
cluster itself. Nothing is changed. The exit code is 0 where all is as the catalogue says, and 3 where
something is not. The risks: safe; needs-rebalance (replicas move, brokers restart); cuts-off (somebody loses
a right); breaks-key-order (tenants move between partitions); loses-data (records are deleted).

[bold]Example[/bold]

  trunkline plan --environment production --bootstrap-servers kafka:9092

  trunkline plan --environment production --kubernetes --offline
"""

Manifests = Annotated[
    str | None,
    typer.Option(
        "--manifests",
        metavar="PATH",
        help="Resources in a file, in a directory as `trunkline render` writes it, or on standard input (-).",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not ask the Kafka cluster.")]

app = _common.new_app(HELP)


@app.command(help=HELP)
def plan(
    *,
    environment: _plan.EnvironmentName,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    principal: _plan.PrincipalTemplate = None,
    known: _plan.KnownPrincipals = None,
    manifests: Manifests = None,
    kubernetes: _resources.OnKubernetes = False,
    kubeconfig: _resources.Kubeconfig = None,
    context: _resources.Context = None,
    offline: Offline = False,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.operate.plan import cluster_plan, joined, principals

    if manifests is not None and kubernetes:
        raise InvalidInput("give --manifests for files or --kubernetes for an API, not both")
    if offline and manifests is None and not kubernetes:
        raise InvalidInput("--offline leaves nothing to compare with: give --manifests or --kubernetes")
    contract = _common.read_catalogue(catalogue)
    known_as = principals(contract, environment, principal)
    accepted = _plan.accepted(known or (), known_as.values())
    plans = []
    if manifests is not None:
        plans.append(_of_files(contract, environment, catalogue, manifests))
    if kubernetes:
        plans.append(_of_api(contract, environment, catalogue, _resources.open_api(kubeconfig, context)))
    if not offline:
        to = connection(bootstrap_servers, properties=client_properties)
        live = _plan.look(to, contract, environment)
        found = cluster_plan(
            contract, environment, live, known_as=known_as, operated=bool(plans), known=accepted
        )
        plans.append(found)
    whole = joined(environment, plans)
    _print(whole, as_json=as_json)
    if whole.changes:
        raise typer.Exit(_plan.DRIFT)


def _of_files(contract: "Catalogue", environment: str, catalogue: Path | None, manifests: str) -> "Plan":
    from trunkline.operate.plan import resource_plan

    wanted = _resources.wanted_resources(contract, environment, catalogue)
    return resource_plan(environment, wanted, _resources.in_files(manifests, environment), have_status=False)


def _of_api(contract: "Catalogue", environment: str, catalogue: Path | None, api: "KubernetesApi") -> "Plan":
    from trunkline.operate.inventory import inventory
    from trunkline.operate.plan import resource_plan

    wanted = _resources.wanted_resources(contract, environment, catalogue)
    with api:
        return resource_plan(environment, wanted, inventory(api, wanted), have_status=True)


def _print(found: "Plan", *, as_json: bool) -> None:
    if as_json:
        _common.print_json(
            {
                "environment": found.environment,
                "drift": bool(found.changes),
                "risk": found.risk,
                "changes": [_plan.as_json(change) for change in found.changes],
                "notes": list(found.notes),
            }
        )
        return
    for note in found.notes:
        _common.note(note)
    if not found.changes:
        typer.echo(f"{found.environment}: as the catalogue says")
        return
    typer.echo(f"{found.environment}: {_common.counted(len(found.changes), 'change')}, at worst {found.risk}")
    _plan.print_changes(found.changes)
