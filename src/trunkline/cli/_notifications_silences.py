"""`trunkline notifications silence`: tell nothing of something for a while."""

from typing import Annotated, Final

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._notifications import Actor, StoreUrl, Tenant, desk, print_rows, seconds_of, shown_time
from trunkline.errors import InvalidInput

ADD_HELP: Final = """Tell nothing of what matches, for a while; of tenant `system`, of every tenant.

[bold]Example[/bold]

  trunkline notifications silence add --tenant acme --rule pipeline-failed --for 2h --comment "moving house"
"""
LIST_HELP: Final = """List silences that have not ended.

[bold]Example[/bold]

  trunkline notifications silence list --tenant acme
"""
END_HELP: Final = """End a silence now.

[bold]Example[/bold]

  trunkline notifications silence end 0199a3c4-… --tenant acme
"""

app = _common.new_app("Tell nothing of something for a while.", no_args_is_help=True)


@app.command("add", help=ADD_HELP)
def add(
    *,
    tenant: Tenant,
    length: Annotated[str, typer.Option("--for", metavar="TIME", help="Such as 90m, 2h or 7d.")],
    comment: Annotated[str, typer.Option("--comment", help="Why: others will wonder.")],
    rule: Annotated[list[str] | None, typer.Option("--rule", help="Of this rule; repeatable.")] = None,
    category: Annotated[list[str] | None, typer.Option("--category", help="Repeatable.")] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help="Repeatable.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help="A field of the event; repeatable."),
    ] = None,
    actor: Actor = "operator",
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import actions, people

    wanted = {
        "rules": rule or [],
        "categories": category or [],
        "severities": severity or [],
        "where": dict(_pair(one) for one in where or []),
    }
    with desk(data_dir, store, create=True) as at, at.context.store.write() as tx:
        matches = actions.matches_of(wanted, at.configuration, tenant)
        added = actions.add_silence(
            tx,
            tenant,
            matches,
            ends=at.context.wall() + seconds_of(length),
            actor=actor,
            comment=comment,
            now_us=at.now_us,
        )
    if as_json:
        _common.print_json(people.silence_view(added))
    else:
        typer.echo(added.id)


@app.command("list", help=LIST_HELP)
def list_(
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import people

    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = people.silences(tx, tenant, since_us=at.now_us)
    if as_json:
        _common.print_json(found)
        return
    rows = [
        (one.id, shown_time(one.ends_at), one.actor, msgspec.json.encode(one.matches).decode(), one.comment)
        for one in found
    ]
    print_rows(rows, "id", "ends", "by", "matches", "comment", nothing="no silence is in force")


@app.command("end", help=END_HELP)
def end(
    silence_id: Annotated[str, typer.Argument(help="The silence.")],
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    from trunkline.services.notification import silence_rows

    with desk(data_dir, store) as at, at.context.store.write() as tx:
        silence_rows.end(tx, silence_id, tenant=tenant, now_us=at.now_us)
    _common.note(f"silence {silence_id} has ended")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInput(f"--where {text!r}: write FIELD=VALUE")
    return name, value
