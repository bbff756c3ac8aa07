"""`trunkline apply`: makes a cluster as the catalogue says, as far as it is safe or allowed."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _plan, _resources
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection
from trunkline.operate.change import Risk

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.client.config import ConnectionOptions
    from trunkline.deploy.resource import Resource
    from trunkline.operate.apply import Applied
    from trunkline.operate.kubernetes import KubernetesApi

FAILED: Final = 1

ALL: Final = "all is as the catalogue says"
RESOURCES: Final = (
    "the resources are as the catalogue says; `trunkline plan` tells whether the operators have done it"
)
"""What holds where nothing was left and nothing failed."""

HELP: Final = """Make a cluster as the catalogue says: topics, their settings, and ACLs.

On Strimzi (--kubernetes) the resources are written, by server-side apply with strict validation; its
operators do the rest. On any other Kafka topics and ACLs are written themselves.

Only what is safe is done; what risks more is left, and said, unless --allow names its risk (see `trunkline
plan`). No topic and no resource is ever deleted, and nothing of principals that the catalogue does not know.
Run it again as often as you like. The exit code is 0 where all is as the catalogue says now, 3 where
something was left, and 1 where something failed. With --kubernetes 0 is about the resources: whether the
operators have done what these say, `trunkline plan` tells, a minute later.

[bold]Example[/bold]

  trunkline apply --environment production --bootstrap-servers kafka:9092 --client-properties admin.properties

  trunkline apply --environment production --kubernetes
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
    known: _plan.KnownPrincipals = None,
    kubernetes: _resources.OnKubernetes = False,
    kubeconfig: _resources.Kubeconfig = None,
    context: _resources.Context = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    contract = _common.read_catalogue(catalogue)
    allowed = frozenset(allow or ())
    if kubernetes:
        api = _resources.open_api(kubeconfig, context)
        notes: tuple[str, ...] = ()
        steps = _to_api(api, _resources.wanted_resources(contract, environment, catalogue), allowed)
    else:
        to = connection(bootstrap_servers, properties=client_properties)
        notes, steps = _to_cluster(contract, environment, to, allowed, principal=principal, known=known or ())
    done = []
    for applied in steps:
        done.append(applied)
        if not as_json:
            _print(applied)
    _conclude(environment, done, notes=notes, holds=RESOURCES if kubernetes else ALL, as_json=as_json)


def _to_cluster(
    contract: "Catalogue",
    environment: str,
    to: "ConnectionOptions",
    allowed: frozenset[Risk],
    *,
    principal: str | None,
    known: Sequence[str],
) -> "tuple[tuple[str, ...], Iterator[Applied]]":
    from trunkline.deploy.acls import acls
    from trunkline.operate.acls import wanted_bindings
    from trunkline.operate.apply import ClusterWriter
    from trunkline.operate.plan import cluster_plan, principals

    known_as = principals(contract, environment, principal)
    accepted = _plan.accepted(known, known_as.values())
    live = _plan.look(to, contract, environment)
    found = cluster_plan(contract, environment, live, known_as=known_as, operated=False, known=accepted)
    bindings = wanted_bindings(acls(contract, principals=known_as)) | (live.acls or frozenset())
    writer = ClusterWriter(to, contract, environment, known=bindings)
    return found.notes, writer.apply(found.changes, allowed=allowed)


def _to_api(api: "KubernetesApi", wanted: "list[Resource]", allowed: frozenset[Risk]) -> "Iterator[Applied]":
    from trunkline.operate.apply_resources import apply_resources
    from trunkline.operate.inventory import inventory

    with api:
        found = inventory(api, wanted)
        # The catalogue is what holds, whoever else has set a field.
        yield from apply_resources(api, wanted, found, allowed=allowed, force=True)


def _print(applied: "Applied") -> None:
    typer.echo(f"{applied.outcome:6}{_plan.headline(applied.change)}")
    if applied.because:
        typer.echo(f"        {applied.because}")


def _conclude(
    environment: str, done: "list[Applied]", *, notes: tuple[str, ...], holds: str, as_json: bool
) -> None:
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
        is_whole = counts[Outcome.DONE] == len(done)
        typer.echo(f"{environment}: {told or 'nothing to do'}{f', {holds}' if is_whole else ''}")
    if counts[Outcome.FAILED]:
        raise typer.Exit(FAILED)
    if counts[Outcome.LEFT]:
        raise typer.Exit(_plan.DRIFT)
