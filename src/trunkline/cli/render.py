"""`trunkline render`: the catalogue as Strimzi, Kubernetes and monitoring manifests."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _plan, _resources
from trunkline.cli._common import AsJson, CatalogueFile
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue

DIFFERS: Final = 3
"""The exit code of `--check` for a directory that is not as it would be rendered."""

EXAMPLE: Final = """Write an environment as manifests for Strimzi, Kubernetes and Prometheus.

DIR gets a Kustomize base with what all environments share, an overlay for each environment that was rendered
into it, and beside each overlay a README.md that names the Secrets you make. Environments that are there
already are rendered anew with the same catalogue. A directory that holds anything else is refused.

[bold]Example[/bold]

  trunkline render --environment production -o deploy

  kubectl kustomize deploy/overlays/production | kubectl apply --server-side -f -
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def render(
    *,
    environment: _plan.EnvironmentName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where the files are written.")
    ] = None,
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Print all resources as one YAML stream instead.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Write nothing; name what differs in DIR and exit with 3 if anything does."
        ),
    ] = False,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    if (output is None) is not stdout or (check and stdout):
        raise InvalidInput("give either -o DIR, with or without --check, or --stdout")
    contract = _common.read_catalogue(catalogue)
    source = _resources.source_of(catalogue)
    if output is None:
        typer.echo(_resources.rendering().stream(contract, environment, source=source), nl=False)
        return
    environments, tree = _everything(contract, environment, output, source=source)
    if check:
        _check(output, tree, as_json=as_json)
    else:
        _write(output, tree, environments, as_json=as_json)


def _write(directory: Path, tree: Mapping[str, str], environments: list[str], *, as_json: bool) -> None:
    from trunkline.cli import _tree

    changes = _tree.write(directory, tree, environments=environments)
    if as_json:
        _common.print_json({"directory": str(directory), "files": len(tree), "changed": changes})
        return
    typer.echo(
        f"{directory}: {_common.counted(len(tree), 'file')} for {' and '.join(environments)}, "
        f"{len(changes)} changed"
    )


def _check(directory: Path, tree: Mapping[str, str], *, as_json: bool) -> None:
    from trunkline.cli import _tree

    found = _tree.differences(directory, tree)
    if as_json:
        _common.print_json({"directory": str(directory), "files": len(tree), "differences": found})
    else:
        for difference in found:
            typer.echo(f"{difference.how:18}  {directory / difference.path}")
    if found:
        raise typer.Exit(DIFFERS)


def _everything(
    contract: "Catalogue", environment: str, directory: Path, *, source: str | None
) -> tuple[list[str], dict[str, str]]:
    """What the directory should have: this environment, and those that it has already.

    All of them, because a change of one may move a resource between its overlay and the base.
    """
    from trunkline.cli import _tree

    rendering = _resources.rendering()
    contract.cluster(environment)
    known = [name for name in _tree.environments_of(directory) if name in contract.clusters]
    environments = sorted({*known, environment})
    tree: dict[str, str] = {}
    for name in environments:
        tree |= rendering.render(contract, name, source=source)
    return environments, tree
