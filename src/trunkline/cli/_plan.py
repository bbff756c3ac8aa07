"""What `plan` and `apply` share: their options, and how changes are shown."""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.client.config import ConnectionOptions
    from trunkline.operate.change import Change
    from trunkline.operate.live import Live

DRIFT: Final = 3
"""The exit code where something is not as the catalogue says."""

EnvironmentName = Annotated[
    str, typer.Option("--environment", "-e", help="The environment of the catalogue.")
]

PrincipalTemplate = Annotated[
    str | None,
    typer.Option(
        "--principal",
        metavar="TEMPLATE",
        help="What the cluster takes a user for, such as User:CN={name}. By default as the environment's "
        "`authentication` has it.",
    ),
]


KnownPrincipals = Annotated[
    list[str] | None,
    typer.Option(
        "--known",
        metavar="PRINCIPAL",
        help="A principal that is not in the catalogue and no surprise, such as User:admin; repeatable.",
    ),
]


def accepted(known: Sequence[str], ours: Collection[str]) -> Sequence[str]:
    """Whom an administrator knows. Raises `InvalidInput` for what no ACL has, and for one of ours."""
    for principal in known:
        if not principal.removeprefix("User:") or not principal.startswith("User:"):
            raise InvalidInput(f"--known {principal!r}: begins with User: and has a name, as in User:admin")
        if principal in ours:
            raise InvalidInput(
                f"--known {principal}: the catalogue has it, and its rights are always compared"
            )
    return known


def look(to: "ConnectionOptions", catalogue: "Catalogue", environment: str) -> "Live":
    """The cluster as it is now."""
    import time

    from trunkline.operate.live import read_live

    return read_live(to, catalogue, environment, now_ms=int(time.time() * 1000))


def print_changes(changes: "Iterable[Change]") -> None:
    """A line for each; what several in a row have in common is said once, below them."""
    for (why, remedy), alike in groupby(changes, key=lambda change: (change.why, change.remedy)):
        for change in alike:
            typer.echo(headline(change))
        typer.echo(f"      {why}")
        if remedy:
            typer.echo(f"      remedy: {remedy}")


def headline(change: "Change") -> str:
    """One line: the risk, what is done to what, and both values."""
    return f"  {change.risk:16}  {change.verb:6}  {change.subject}: {change.found} -> {change.wanted}"


def as_json(change: "Change") -> dict[str, str]:
    """The change by the names that scripts rely on."""
    return {
        "layer": change.layer.value,
        "verb": change.verb.value,
        "kind": change.kind,
        "name": change.name,
        "field": change.field,
        "found": change.found,
        "wanted": change.wanted,
        "risk": change.risk.value,
        "why": change.why,
        "remedy": change.remedy,
    }
