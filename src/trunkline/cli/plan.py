"""`trunkline plan`: the catalogue against resources and cluster; what would change, and what that risks."""

from typing import TYPE_CHECKING, Final

import typer

from trunkline.cli import _common, _plan
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection

if TYPE_CHECKING:
    from trunkline.operate.plan import Plan

HELP: Final = """Compare the catalogue with a cluster; name what differs and what mending it risks.

Nothing is changed. The exit code is 0 where all is as the catalogue says, and 3 where something is not.
The risks: safe; needs-rebalance (replicas move, brokers restart); cuts-off (somebody loses a right);
breaks-key-order (tenants move between partitions); loses-data (records are deleted).

[bold]Example[/bold]

  trunkline plan --environment production --bootstrap-servers kafka:9092
"""

app = _common.new_app(HELP)


@app.command(help=HELP)
def plan(
    *,
    environment: _plan.EnvironmentName,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    principal: _plan.PrincipalTemplate = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.operate.plan import cluster_plan, principals

    contract = _common.read_catalogue(catalogue)
    known_as = principals(contract, environment, principal)
    to = connection(bootstrap_servers, properties=client_properties)
    found = cluster_plan(
        contract, environment, _plan.look(to, contract, environment), known_as=known_as, operated=False
    )
    _print(found, as_json=as_json)
    if found.changes:
        raise typer.Exit(_plan.DRIFT)


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
