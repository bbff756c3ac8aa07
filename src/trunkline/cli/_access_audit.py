"""How `trunkline access audit` reads the authoriser's log, and how it shows what it has found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from trunkline.cli import _common
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from trunkline.operate.access_audit import Anomaly, Audit, Grant
    from trunkline.operate.authorizer_log import Attempt, AuthorizerLog, Times

LINES_MAX: Final = 30
"""Of one kind, for people; JSON has all."""


def read_log(files: Sequence[Path]) -> "AuthorizerLog | None":
    """The authoriser's log in these files together, if there are any. Raises `InvalidInput`."""
    from trunkline.operate.authorizer_log import read_authorizer_log

    return read_authorizer_log(_lines(files)) if files else None


def _lines(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as text:
                yield from text
        except OSError as error:
            raise InvalidInput(f"--authorizer-log {file}: {error.strerror}") from error


def as_json(environment: str, found: "Audit") -> dict[str, object]:
    """The audit by the names that scripts rely on."""
    return {
        "environment": environment,
        "drift": bool(found.anomalies),
        "anomalies": found.anomalies,
        "grants": [
            {"binding": grant.binding._asdict(), "use": grant.use, "evidence": grant.evidence}
            for grant in found.grants
        ],
        "denied": [
            {
                **attempt._asdict(),
                "count": times.count,
                "first": times.first,
                "last": times.last,
                "hosts": sorted(times.hosts),
            }
            for attempt, times in _by_count(found.denied)
        ],
        "notes": found.notes,
    }


def show(environment: str, found: "Audit") -> None:
    """What is not as the catalogue says, what was never used, and how much else there is."""
    from trunkline.cli._tables import print_table

    for note in found.notes:
        _common.note(note)
    if not found.anomalies:
        typer.echo(f"{environment}: every right is as the catalogue says")
    for kind, alike in groupby(sorted(found.anomalies, key=_kind), key=_kind):
        rows = (f"{one.who}{f': {one.what}' if one.what else ''}; {one.why}" for one in alike)
        _list(kind, list(rows))
    if found.grants:
        print_table(_uses(found.grants))
    unused = (grant for grant in found.grants if grant.use.value == "never-used")
    _list("never-used", [f"{grant.binding.principal}: {grant.text}; {grant.evidence}" for grant in unused])
    _list("denied", [_denied(attempt, times) for attempt, times in _by_count(found.denied)])


def _kind(anomaly: "Anomaly") -> str:
    return anomaly.kind.value


def _list(title: str, rows: Sequence[str]) -> None:
    for row in rows[:LINES_MAX]:
        typer.echo(f"  {title:17}  {row}")
    if len(rows) > LINES_MAX:
        typer.echo(f"  {title:17}  and {len(rows) - LINES_MAX} more, see --json")


def _denied(attempt: "Attempt", times: "Times") -> str:
    when = f", last at {times.last}" if times.last else ""
    return (
        f"{attempt.principal}: {attempt.operation} on {attempt.resource} {attempt.name}; "
        f"{_common.counted(times.count, 'time')}{when}, from {', '.join(sorted(times.hosts))}"
    )


def _uses(grants: "Sequence[Grant]") -> "Table":
    """How many rights each principal has used."""
    from trunkline.cli._tables import new_table

    counts = ("rights", "used", "never used", "cannot be told")
    table = new_table("principal", *counts, right=counts)
    for principal in dict.fromkeys(grant.binding.principal for grant in grants):
        uses = Counter(grant.use.value for grant in grants if grant.binding.principal == principal)
        numbers = (uses.total(), uses["used"], uses["never-used"], uses["cannot-be-told"])
        table.add_row(principal, *map(str, numbers))
    return table


def _by_count(denied: "dict[Attempt, Times]") -> "list[tuple[Attempt, Times]]":
    return sorted(denied.items(), key=lambda item: (-item[1].count, item[0]))
