"""`trunkline iam`: logins, permissions, roles, API keys and erasure requests of a tenant."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

import typer

from trunkline.cli import _common
from trunkline.cli._audit_input import parse_moment
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.iam.desk import Desk

SERVICE: Final = "iam-service"
ACTOR: Final = "operator"

HELP: Final = """Record logins; grant, revoke and assign; issue API keys; request erasures.

The events go out when iam-service runs. What has been granted or revoked already changes nothing.

[bold]Example[/bold]

  trunkline iam grant u-17 query.execute urn:schema:sales --tenant acme

  trunkline iam show --tenant acme
"""

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user.")]
Permission = Annotated[str, typer.Argument(help="Such as query.execute.")]
Resource = Annotated[str, typer.Argument(help="Such as urn:schema:sales.")]
Expires = Annotated[str | None, typer.Option("--expires", metavar="TIME", help="Until when.")]
Why = Annotated[str | None, typer.Option("--reason", help="Why.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The IAM service's database, if not in DIR.")
]

app = _common.new_app(HELP, no_args_is_help=True)


def _do(
    data_dir: Path, store: str | None, work: "Callable[[Connection, Desk], Any]", *, create: bool = True
) -> Any:
    from trunkline.services.iam.desk import Desk

    with (
        offline(SERVICE, data_dir=data_dir, store=store, create=create) as context,
        context.store.write() as tx,
    ):
        return work(tx, Desk.of(context))


def _tell(changed: bool, done: str, already: str, *, as_json: bool) -> None:
    if as_json:
        _common.print_json({"changed": changed})
    else:
        typer.echo(done if changed else already)


@app.command(help="Record an attempt to log in; exit 1 if it is not let in.")
def login(
    user: User,
    *,
    tenant: Tenant,
    failed: Annotated[bool, typer.Option("--failed", help="The credentials were wrong.")] = False,
    method: Annotated[str, typer.Option(help="password, sso, api_key, mfa or token_refresh.")] = "password",
    reason: Annotated[str, typer.Option(help="Why it failed, as a short code.")] = "bad_credentials",
    source_ip: Annotated[str | None, typer.Option(help="Where it came from.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.events.access import LoginMethod

    if method not in get_args(LoginMethod):
        raise InvalidInput(f"--method {method!r}: there are {', '.join(get_args(LoginMethod))}")
    chosen = cast("LoginMethod", method)

    def work(tx: "Connection", desk: "Desk") -> Any:
        return desk.log_in(
            tx,
            tenant,
            user,
            method=chosen,
            verified=not failed,
            reason=reason,
            source_ip=source_ip,
        )

    outcome = _do(data_dir, store, work)
    if as_json:
        _common.print_json(outcome)
    elif outcome.allowed:
        typer.echo(f"{user} is let in")
    else:
        until = f", locked until {outcome.locked_until:%Y-%m-%dT%H:%M:%SZ}" if outcome.locked_until else ""
        failures = _common.counted(outcome.attempts, "failure")
        typer.echo(f"{user} is not let in: {outcome.reason}, {failures} in a row{until}")
    if not outcome.allowed:
        raise typer.Exit(1)


@app.command(help="Let a locked account try again at once.")
def unlock(
    user: User,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    _do(data_dir, store, lambda tx, desk: desk.unlock(tx, tenant, user), create=False)
    typer.echo(f"{user} may try again")


@app.command(help="Give a permission on a resource.")
def grant(
    user: User,
    permission: Permission,
    resource: Resource,
    *,
    tenant: Tenant,
    expires: Expires = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    until = parse_moment("--expires", expires)

    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.grant(tx, tenant, user, permission, resource, actor=actor, expires_at=until)

    changed = _do(data_dir, store, work)
    what = f"{permission} on {resource}"
    _tell(changed, f"{user} has {what}", f"{user} had {what} already", as_json=as_json)


@app.command(help="Take a permission away.")
def revoke(
    user: User,
    permission: Permission,
    resource: Resource,
    *,
    tenant: Tenant,
    reason: Why = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.revoke(tx, tenant, user, permission, resource, actor=actor, reason=reason)

    changed = _do(data_dir, store, work, create=False)
    what = f"{permission} on {resource}"
    _tell(changed, f"{user} has lost {what}", f"{user} did not have {what}", as_json=as_json)


@app.command(help="Give a user a role.")
def assign(
    user: User,
    role: Annotated[str, typer.Argument(help="The role.")],
    *,
    tenant: Tenant,
    scope: Annotated[str | None, typer.Option(help="Where, if not in the whole tenant.")] = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.assign_role(tx, tenant, user, role, actor=actor, scope=scope)

    changed = _do(data_dir, store, work)
    _tell(changed, f"{user} is {role}", f"{user} was {role} already", as_json=as_json)


@app.command(help="Take a role away from a user.")
def unassign(
    user: User,
    role: Annotated[str, typer.Argument(help="The role.")],
    *,
    tenant: Tenant,
    scope: Annotated[str | None, typer.Option(help="Where it was given, if not in the whole tenant.")] = None,
    reason: Why = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.unassign_role(tx, tenant, user, role, actor=actor, scope=scope, reason=reason)

    changed = _do(data_dir, store, work, create=False)
    where = f" in {scope}" if scope else ""
    _tell(changed, f"{user} is no {role}{where}", f"{user} was no {role}{where}", as_json=as_json)


@app.command("create-key", help="Issue an API key. It is printed this once; only its hash is kept.")
def create_key(
    *,
    tenant: Tenant,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    expires: Expires = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    until = parse_moment("--expires", expires)

    def work(tx: "Connection", desk: "Desk") -> Any:
        return desk.create_key(tx, tenant, actor=actor, name=name, expires_at=until)

    key = _do(data_dir, store, work)
    if as_json:
        _common.print_json(key)
    else:
        typer.echo(key.key)
        _common.note(f"key {key.key_id}; keep it, it is not shown again")


@app.command("revoke-key", help="Let an API key work no more.")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id.")],
    *,
    tenant: Tenant,
    reason: Why = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.revoke_key(tx, tenant, key_id, actor=actor, reason=reason)

    changed = _do(data_dir, store, work, create=False)
    _tell(changed, f"key {key_id} is revoked", f"key {key_id} was revoked already", as_json=as_json)


@app.command("request-erasure", help="Record that a person wants their data erased.")
def request_erasure(
    subject: Annotated[str, typer.Argument(help="Who.")],
    *,
    tenant: Tenant,
    request_id: Annotated[
        str | None, typer.Option("--id", help="The request's id, so that it can be repeated.")
    ] = None,
    due: Annotated[str | None, typer.Option("--due", metavar="TIME", help="Until when.")] = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    due_at = parse_moment("--due", due)

    def work(tx: "Connection", desk: "Desk") -> str:
        return desk.request_erasure(tx, tenant, subject, actor=actor, request_id=request_id, due_at=due_at)

    found = _do(data_dir, store, work)
    if as_json:
        _common.print_json({"request_id": found})
    else:
        typer.echo(found)


@app.command("complete-erasure", help="Record that a person's data is gone.")
def complete_erasure(
    request_id: Annotated[str, typer.Argument(help="The request's id.")],
    *,
    tenant: Tenant,
    services: Annotated[int, typer.Option(min=0, help="From how many services.")],
    records: Annotated[int, typer.Option(min=0, help="How many records.")],
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> bool:
        return desk.complete_erasure(tx, tenant, request_id, actor=actor, services=services, records=records)

    changed = _do(data_dir, store, work, create=False)
    _tell(changed, f"request {request_id} is complete", f"request {request_id} was complete", as_json=as_json)


@app.command(help="Show a tenant's accounts, permissions, roles, keys and erasure requests.")
def show(
    *,
    tenant: Tenant,
    user: Annotated[str | None, typer.Option("--user", help="Only this one's.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.iam import queries

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found: dict[str, list[Any]] = {
            "accounts": list(queries.accounts(tx, tenant, user=user)),
            "permissions": list(queries.permissions(tx, tenant, at=context.wall(), grantee=user)),
            "roles": list(queries.roles(tx, tenant, user=user)),
        }
        if user is None:
            found["api_keys"] = list(queries.api_keys(tx, tenant))
            found["erasure_requests"] = list(queries.erasure_requests(tx, tenant))
    if as_json:
        _common.print_json(found)
    else:
        _print(found)


def _print(found: dict[str, list[Any]]) -> None:
    from dataclasses import fields

    from trunkline.cli._tables import new_table, print_table

    for name, rows in found.items():
        if not rows:
            continue
        columns = [field.name for field in fields(rows[0])]
        table = new_table(*columns)
        for row in rows:
            table.add_row(*(_cell(getattr(row, column)) for column in columns))
        typer.echo(name.replace("_", " "))
        print_table(table)
        typer.echo()


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return "-" if value is None else str(value)
