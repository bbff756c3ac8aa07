"""How `trunkline query` shows what it found to people."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._tables import new_table, print_table

if TYPE_CHECKING:
    from trunkline.services.query.log import Entry

SQL_SHOWN: Final = 80
"""Characters of a statement in a list."""


def show_answer(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """The rows; on standard error what the policies had to say."""
    if as_json:
        _common.print_json(answer)
        return
    if answer["columns"]:
        numbers = tuple(one["name"] for one in answer["columns"] if _is_number(one["type"]))
        table = new_table(*(one["name"] for one in answer["columns"]), right=numbers)
        for row in answer["rows"]:
            table.add_row(*("" if value is None else str(value) for value in row))
        print_table(table)
    for note in answer["warnings"]:
        _common.note(f"warning: policy {note['policy_id']} {note['reason']}")
    rows = _common.counted(len(answer["rows"]), "row")
    more = ", and there are more" if answer["truncated"] else ""
    took = answer["duration_us"] / 1000
    _common.note(f"{rows}{more}, in {took:.1f} ms, under policy revision {answer['policy_revision']}")


def show_explanation(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Each table's decision, and the text that would be executed."""
    if as_json:
        _common.print_json(found)
        return
    revision = found["policy_revision"]
    if found["allowed"]:
        typer.echo(f"allowed in revision {revision}")
    else:
        by = f"policy {found['policy_id']} in revision {revision}"
        typer.echo(f"denied: {found['asset']} by {by}: {found['reason']}")
    for one in found["decisions"]:
        _show_decision(one)
    if found["sql"]:
        typer.echo(f"\n{found['sql']}")


def show_whatif(found: Mapping[str, Any], *, as_json: bool) -> None:
    """The queries that come out differently."""
    if as_json:
        _common.print_json(found)
        return
    compared = _common.counted(found["compared"], "query", "queries")
    typer.echo(f"{len(found['differences'])} of {compared} would come out differently")
    if found["differences"]:
        table = new_table("user", "now", "then", "sql")
        for one in found["differences"]:
            table.add_row(one["user_id"], _outcome(one["now"]), _outcome(one["then"]), _short(one["sql"]))
        print_table(table)


def show_log(entries: "Sequence[Entry]", *, as_json: bool) -> None:
    """Entries of the query log."""
    if as_json:
        _common.print_json(entries)
        return
    table = new_table("submitted", "user", "state", "revision", "ms", "why", "sql", right=("revision", "ms"))
    for one in entries:
        table.add_row(
            one.submitted_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            one.user_id,
            one.state,
            "" if one.policy_revision is None else str(one.policy_revision),
            "" if one.duration_us is None else f"{one.duration_us / 1000:.1f}",
            one.policy_id or one.error_code or "",
            _short(one.sql),
        )
    print_table(table)


def _show_decision(one: Mapping[str, Any]) -> None:
    denied = one["denied_by"]
    says = "may be read" if denied is None else f"denied by {denied['policy_id']}: {denied['reason']}"
    typer.echo(f"  {one['asset']}: {says}")
    for name in one["filters"]:
        typer.echo(f"    rows filtered by {name}")
    for column, names in one["masks"].items():
        typer.echo(f"    {column} masked by {', '.join(names)}")
    for note in one["notes"]:
        typer.echo(f"    {note['mode']}: {note['policy_id']} {note['reason']}")


def _outcome(one: Mapping[str, Any]) -> str:
    if one["decision"] == "allowed":
        applied = [*one["filters"], *one["masks"]]
        return f"allowed with {', '.join(applied)}" if applied else "allowed"
    return f"{one['decision']} by {one['policy_id']}" if one["policy_id"] else str(one["decision"])


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= SQL_SHOWN else f"{line[: SQL_SHOWN - 1]}…"


def _is_number(kind: str) -> bool:
    return kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT") or kind == "INTEGER"
