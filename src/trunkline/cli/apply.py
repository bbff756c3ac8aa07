"""`trunkline apply`: makes a cluster as the catalogue says, as far as it is safe or allowed."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _plan
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection
from trunkline.operate.change import Risk

if TYPE_CHECKING:
    from trunkline.operate.apply import Applied

FAILED: Final = 1

HELP: Final = """Make a cluster as the catalogue says: topics, their settings, and ACLs.

Only what is safe is done; what risks more is left, and said, unless --allow names its risk (see `trunkline
plan`). No topic is ever deleted, and nothing of principals that the catalogue does not know. Run it again as
often as you like. The exit code is 0 where all is as the catalogue says now, 3 where something was left, and
1 where something failed.

[bold]Example[/bold]

  trunkline apply --environment production --bootstrap-servers kafka:9092 --client-properties admin.properties
"""

Allowed = Annotated[
    list[Risk] | None,
    typer.Option("--allow", metavar="RISK", help="Do what risks this, too; repeatable."),
]

app = _common.new_app(HELP)


@app.command(help=HELP)
def apply(
    *,
    environment: _plan.EnvironmentName,
    allow: Allowed = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    principal: _plan.PrincipalTemplate = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.deploy.acls import acls
    from trunkline.operate.acls import wanted_bindings
    from trunkline.operate.apply import ClusterWriter
    from trunkline.operate.plan import cluster_plan, principals

    contract = _common.read_catalogue(catalogue)
    known_as = principals(contract, environment, principal)
    to = connection(bootstrap_servers, properties=client_properties)
    live = _plan.look(to, contract, environment)
    found = cluster_plan(contract, environment, live, known_as=known_as, operated=False)
    known = wanted_bindings(acls(contract, principals=known_as)) | (live.acls or frozenset())
    writer = ClusterWriter(to, contract, environment, known=known)
    done = []
    for applied in writer.apply(found.changes, allowed=frozenset(allow or ())):
        done.append(applied)
        if not as_json:
            _print(applied)
    _conclude(environment, done, notes=found.notes, as_json=as_json)


def _print(applied: "Applied") -> None:
    typer.echo(f"{applied.outcome:6}{_plan.headline(applied.change)}")
    if applied.because:
        typer.echo(f"        {applied.because}")


def _conclude(environment: str, done: "list[Applied]", *, notes: tuple[str, ...], as_json: bool) -> None:
    from trunkline.operate.apply import Outcome

    counts = {outcome: sum(one.outcome is outcome for one in done) for outcome in Outcome}
    if as_json:
        _common.print_json(
            {
                "environment": environment,
                **{outcome.value: count for outcome, count in counts.items()},
                "changes": [
                    {**_plan.as_json(one.change), "outcome": one.outcome.value, "because": one.because}
                    for one in done
                ],
                "notes": list(notes),
            }
        )
    else:
        for note in notes:
            _common.note(note)
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        typer.echo(f"{environment}: {told or 'nothing to do, all is as the catalogue says'}")
    if counts[Outcome.FAILED]:
        raise typer.Exit(FAILED)
    if counts[Outcome.LEFT]:
        raise typer.Exit(_plan.DRIFT)
