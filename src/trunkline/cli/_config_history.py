"""`trunkline config` commands that look back and ahead: history, differences, plans."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._config_desk import Told, desk
from trunkline.cli._config_options import (
    Actor,
    ApiUrl,
    Environment,
    Flag,
    Key,
    Service,
    StoreUrl,
    Tenant,
    Token,
    moment,
    name_of,
    place,
    shown,
)

HISTORY_EXAMPLE: Final = """List the versions of a setting or a flag, the newest first: who, when, why.

Without --tenant and the like those of every level.

[bold]Example[/bold]

  trunkline config history query.timeout_ms --tenant acme
"""
DIFF_EXAMPLE: Final = """Show what is set differently than at a time.

[bold]Example[/bold]

  trunkline config diff --since 2026-11-23T08:00:00Z
"""
SCHEDULED_EXAMPLE: Final = """List the changes that wait for their time or approval; with --all also others.

[bold]Example[/bold]

  trunkline config scheduled
"""
APPROVE_EXAMPLE: Final = """Agree to a change that somebody else has proposed.

[bold]Example[/bold]

  trunkline config approve 0199a3c4-…
"""
CANCEL_EXAMPLE: Final = """Take back a change that waits.

[bold]Example[/bold]

  trunkline config cancel 0199a3c4-…
"""
PLAN_HELP: Final = "The plan's id; `trunkline config scheduled` lists them."
Limit = Annotated[int, typer.Option(min=1, max=1_000, help="How many at most.")]
Plan = Annotated[str, typer.Argument(metavar="ID", help=PLAN_HELP)]


def history(
    key: Key,
    *,
    flag: Flag = False,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    limit: Limit = 20,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment, flag=flag)
    query: dict[str, Any] = {"key": key, "kind": name.kind, "limit": limit}
    if name.scope is not None:
        query |= {"level": name.level, "scope": name.scope}
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=None) as open_desk:
        page = open_desk.history(query)
    if as_json:
        _common.print_json(page["items"])
    elif page["items"]:
        _print(page["items"], ("version", "level", "at", "actor", "origin", "value", "reason"))
    else:
        _common.note(f"{key} has no history here; `trunkline config list` shows what is set")


def diff(
    *,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="Than at this time, RFC 3339.")],
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="At this time, not now.")
    ] = None,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    limit: Limit = 100,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    query: dict[str, Any] = {
        "since": moment("--since", since),
        "until": moment("--until", until) or datetime.now(UTC),
        "limit": limit,
    }
    name = name_of("any", tenant=tenant, service=service, environment=environment)
    if name.scope is not None:
        query |= {"level": name.level, "scope": name.scope}
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=None) as open_desk:
        found = open_desk.diff(query)
    if as_json:
        _common.print_json(found)
        return
    for one in found["items"]:
        before = "-" if one["before_version"] is None else f"{shown(one['before'])} ({one['before_version']})"
        after = "-" if one["after_version"] is None else f"{shown(one['after'])} ({one['after_version']})"
        typer.echo(f"{one['key']}  {one['kind']}, {place(one)}:  {before} -> {after}")
    if not found["complete"]:
        _common.note(f"the first {limit}; --limit shows more")
    elif not found["items"]:
        _common.note("nothing is set differently")


def scheduled(
    *,
    all_: Annotated[bool, typer.Option("--all", help="Also those that are settled.")] = False,
    limit: Limit = 100,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=None) as open_desk:
        plans = open_desk.plans({"settled": all_, "limit": limit})["items"]
    if as_json:
        _common.print_json(plans)
    elif plans:
        columns = ("id", "key", "level", "due_at", "status", "actor", "value", "note")
        _print([plan | ({"value": "(unset)"} if plan["unset"] else {}) for plan in plans], columns)
    else:
        _common.note("nothing waits")


def approve(
    plan: Plan,
    *,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor) as open_desk:
        _show(open_desk.settle(plan, "approve"), as_json=as_json)


def cancel(
    plan: Plan,
    *,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor) as open_desk:
        _show(open_desk.settle(plan, "cancel"), as_json=as_json)


def _show(settled: Told, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(settled)
    else:
        version = "" if settled["version"] is None else f", version {settled['version']}"
        note = "" if settled["note"] is None else f": {settled['note']}"
        typer.echo(f"{settled['key']} ({place(settled)}): {settled['status']}{version}{note}")


def _print(items: list[Told], columns: tuple[str, ...]) -> None:
    from trunkline.cli._tables import new_table, print_table

    table = new_table(*(column.removesuffix("_at") for column in columns), right=("version",))
    for item in items:
        table.add_row(*(_cell(item, column) for column in columns))
    print_table(table)


def _cell(item: Told, column: str) -> str:
    if column == "level":
        return place(item)
    if column == "value":
        return shown(item["value"]) if item.get("in_force", True) else "(unset)"
    return "-" if item[column] is None else str(item[column])
