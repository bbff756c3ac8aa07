"""`trunkline notifications rules`: which are in force, and what one would have done."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._notifications import StoreUrl, Tenant, desk, print_rows, seconds_of
from trunkline.errors import InvalidInput

LIST_HELP: Final = """List the rules that a tenant has, and settings that could not be understood.

[bold]Example[/bold]

  trunkline notifications rules list --tenant acme
"""
DRY_RUN_HELP: Final = """Say what a rule would have done with past events; nothing is sent or changed.

[bold]Example[/bold]

  trunkline notifications rules dry-run rule.json --tenant acme --since 7d
"""

app = _common.new_app("Rules: which are in force, and what one would have done.", no_args_is_help=True)


@app.command("list", help=LIST_HELP)
def list_(
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    with desk(data_dir, store) as at:
        rules = at.configuration.rules(tenant).by_name
        refused = {key: why for (of, key), why in at.configuration.refused.items() if of in (None, tenant)}
    if as_json:
        shown = {name: {"version": one.version, "rule": one.rule} for name, one in rules.items()}
        _common.print_json({"rules": shown, "refused": refused})
        return
    rows = [
        (
            name,
            str(one.version),
            one.rule.severity,
            one.rule.category,
            ", ".join(one.rule.channels),
            one.rule.title,
        )
        for name, one in rules.items()
    ]
    print_rows(rows, "rule", "version", "severity", "category", "channels", "title", nothing="no rule")
    for key, why in refused.items():
        _common.note(f"refused, what was in force before stays: {key}: {why}")


@app.command("dry-run", help=DRY_RUN_HELP)
def dry_run(
    file: Annotated[Path, typer.Argument(help="The rule as JSON, as `config set` takes it.")],
    *,
    tenant: Tenant,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Such as 12h or 7d.")] = "7d",
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import actions

    rule = actions.read_rule("dry-run", _read(file))
    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = actions.dry_run(tx, tenant, rule, since=datetime.now(UTC) - seconds_of(since))
    if as_json:
        _common.print_json(found)
        return
    typer.echo(
        f"of {_common.counted(found.events, 'event')} the rule concerns {found.fires + found.resolves}: "
        f"{found.fires} fire, {found.resolves} resolve; {_common.counted(found.incidents, 'incident')}, "
        f"up to {_common.counted(found.notifications, 'notification')}"
    )
    for line in found.examples:
        typer.echo(f"  {line}")
    for name, why in found.failed.items():
        typer.echo(f"  fails on {name}: {why}")


def _read(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path}: cannot read it ({error.strerror})") from error
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error
