"""`trunkline contract`: write the contract out, compare it with the one on record."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline import __version__
from trunkline.cli import _common
from trunkline.cli._common import AsJson, CatalogueFile
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.catalogue.changes import Change
    from trunkline.catalogue.model import Catalogue
    from trunkline.catalogue.snapshot import Snapshot

app = _common.new_app("Export the contract, check it for incompatible changes.", no_args_is_help=True)

DEFAULT_DIRECTORY: Final = Path("contract")
SCHEMAS: Final = Path("schemas")
SCHEMA_SUFFIX: Final = ".schema.json"

EXPORT_HELP: Final = """Write the contract for other languages and tools.

DIR receives schemas/EVENT.schema.json (JSON Schema 2020-12), asyncapi.json (AsyncAPI 3.0.0) and
contract.json, the snapshot that `check` and `diff` compare.

[bold]Example[/bold]

  trunkline contract export --output ./contract
"""

CHECK_HELP: Final = """Compare the contract with the one on record.

Exit 0 if nothing changed. Exit 1 for a breaking change, naming the services it would hurt, and for a
compatible change that nobody has recorded yet with `trunkline contract export --snapshot`.

[bold]Example[/bold]

  trunkline contract check
"""

DIFF_HELP: Final = """List what changed from one snapshot to another.

[bold]Example[/bold]

  trunkline contract diff old/contract.json new/contract.json
"""

Environment = Annotated[
    str, typer.Option("--environment", help="Whose partitions and retention asyncapi.json shows.")
]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="FILE", help="The contract on record; the packaged one otherwise."),
]


class ContractBroken(TrunklineError):  # noqa: N818 - reads as what it is
    """The contract differs from the one on record in a way that may not be, or that nobody recorded."""


@app.command(help=EXPORT_HELP)
def export(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where to; made if it is not there.")
    ] = DEFAULT_DIRECTORY,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Record the contract instead, for `check` to compare with.")
    ] = False,
    accept_breaking: Annotated[
        bool, typer.Option("--accept-breaking", help="With --snapshot: record breaking changes too.")
    ] = False,
    against: Against = None,
    environment: Environment = "production",
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    contract = _common.read_catalogue(catalogue)
    if snapshot:
        written = [_record(contract, against, accept_breaking=accept_breaking)]
    else:
        written = _write_all(contract, output, environment)
    if as_json:
        _common.print_json({"written": [str(path) for path in written]})
    else:
        where = written[0] if len(written) == 1 else f"{len(written)} files in {output}"
        _common.console().print(f"wrote {where}")


@app.command(help=CHECK_HELP)
def check(against: Against = None, catalogue: CatalogueFile = None, as_json: AsJson = False) -> None:
    from trunkline.catalogue.snapshot import load_snapshot, take_snapshot

    recorded = load_snapshot(against)
    changes = _compare(recorded, take_snapshot(_common.read_catalogue(catalogue), after=recorded))
    _print_changes(changes, as_json=as_json)
    _refuse_breaking(changes)
    if changes:
        raise ContractBroken(
            f"{_common.counted(len(changes), 'compatible change')} not on record yet; "
            "run `trunkline contract export --snapshot` and commit the result"
        )


@app.command(help=DIFF_HELP)
def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="The earlier snapshot.")],
    new: Annotated[Path, typer.Argument(metavar="B", help="The later snapshot.")],
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.snapshot import load_snapshot

    _print_changes(_compare(load_snapshot(old), load_snapshot(new)), as_json=as_json)


def _compare(old: "Snapshot", new: "Snapshot") -> "tuple[Change, ...]":
    from trunkline.catalogue.compatibility import compare

    return compare(old, new)


def _refuse_breaking(changes: "tuple[Change, ...]") -> None:
    from trunkline.catalogue.compatibility import breaking, hurt_services

    if broken := breaking(changes):
        hurt = ", ".join(hurt_services(broken)) or "nobody"
        raise ContractBroken(
            f"{_common.counted(len(broken), 'breaking change')} would hurt {hurt}; "
            "keep the old version and declare a new one (.v2) beside it"
        )


def _print_changes(changes: "tuple[Change, ...]", *, as_json: bool) -> None:
    from trunkline.catalogue.compatibility import breaking, hurt_services

    if as_json:
        hurt = hurt_services(changes)
        _common.print_json({"changes": changes, "breaking": len(breaking(changes)), "hurts": hurt})
        return
    for change in changes:
        typer.echo(str(change))
    if not changes:
        typer.echo("no changes")


def _record(contract: "Catalogue", path: Path | None, *, accept_breaking: bool) -> Path:
    from trunkline.catalogue.snapshot import (
        load_snapshot,
        packaged_snapshot_path,
        render_snapshot,
        take_snapshot,
    )

    target = packaged_snapshot_path() if path is None else path
    recorded = load_snapshot(target) if target.exists() else None
    taken = take_snapshot(contract, after=recorded)
    if recorded is not None and not accept_breaking:
        _refuse_breaking(_compare(recorded, taken))
    _write(target, render_snapshot(taken))
    return target


def _write_all(contract: "Catalogue", directory: Path, environment: str) -> list[Path]:
    from trunkline.catalogue.asyncapi import asyncapi_document
    from trunkline.catalogue.schema import event_schemas
    from trunkline.catalogue.snapshot import load_snapshot, render_snapshot, take_snapshot

    document = asyncapi_document(contract, environment=contract.environment(environment), version=__version__)
    contents = {
        Path("asyncapi.json"): _pretty(document),
        Path("contract.json"): render_snapshot(take_snapshot(contract, after=load_snapshot())),
        **{SCHEMAS / f"{name}{SCHEMA_SUFFIX}": _pretty(schema) for name, schema in event_schemas().items()},
    }
    for relative, content in contents.items():
        _write(directory / relative, content)
    _remove_stale(directory / SCHEMAS, kept={directory / relative for relative in contents})
    return [directory / relative for relative in contents]


def _remove_stale(directory: Path, *, kept: set[Path]) -> None:
    """Removes schemas that an earlier export wrote of event types that are gone; nothing else in there."""
    from trunkline.catalogue.names import EVENT_TYPE_PATTERN

    for path in directory.glob(f"*{SCHEMA_SUFFIX}"):
        if path not in kept and EVENT_TYPE_PATTERN.fullmatch(path.name.removesuffix(SCHEMA_SUFFIX)):
            path.unlink()


def _pretty(document: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
