"""`trunkline tenant`: the life of a tenant, from its sign-up to the receipts of its end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._audit_input import parse_moment
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._offline import offline

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.services.tenant.desk import Desk
    from trunkline.services.tenant.store import Outcome, Tenant

SERVICE: Final = "tenant-service"
IAM: Final = "iam-service"

HELP: Final = """Sign tenants up, suspend them, delete them.

Each step is refused unless the tenant is in a state that allows it; a step that was done already changes
nothing. Its event goes out when tenant-service runs. For where tenants sit in Kafka see `trunkline tenants`.

[bold]Example[/bold]

  trunkline tenant create acme --tier starter --region eu-west-1

  trunkline tenant activate acme
"""

Name = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it.")]
Expected = Annotated[
    int | None, typer.Option("--expected", metavar="VERSION", help="Only if the tenant is at this version.")
]
Note = Annotated[str | None, typer.Option("--note", help="A sentence for people.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The tenant service's database, if not in DIR.")
]
ACTOR: Final = "operator"

app = _common.new_app(HELP, no_args_is_help=True)


def _do(
    data_dir: Path,
    store: str | None,
    work: "Callable[[Connection, Desk], Outcome]",
    *,
    as_json: bool,
    create: bool = False,
) -> None:
    from trunkline.services.tenant.desk import Desk

    with offline(SERVICE, data_dir=data_dir, store=store, create=create) as context:
        desk = Desk.of(context)
        with context.store.write() as tx:
            outcome = work(tx, desk)
    if as_json:
        _common.print_json(outcome)
        return
    tenant = outcome.tenant
    was = "is" if outcome.changed else "was already"
    typer.echo(f"tenant {tenant.tenant} {was} {tenant.state}, version {tenant.version}")


@app.command(help="Sign a tenant up; it is pending until it is activated.")
def create(
    tenant: Name,
    *,
    tier: Annotated[str, typer.Option(help="free, starter, professional or enterprise.")],
    region: Annotated[str, typer.Option(help="Where its data is.")],
    display_name: Annotated[str | None, typer.Option(help="Its name for people.")] = None,
    admin_email: Annotated[str | None, typer.Option(help="Its administrator.")] = None,
    actor: Actor = ACTOR,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.create(
            tx,
            tenant,
            tier=tier,
            region=region,
            actor=actor,
            display_name=display_name,
            admin_email=admin_email,
        )

    _do(data_dir, store, work, as_json=as_json, create=True)


@app.command(help="Provisioning ended well: the tenant can be used.")
def activate(
    tenant: Name,
    *,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.activate(tx, tenant, actor=actor, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="A step of provisioning failed.")
def fail(
    tenant: Name,
    *,
    step: Annotated[str, typer.Option(help="Which step, as a short code.")],
    message: Annotated[str, typer.Option(help="What went wrong.")],
    retryable: Annotated[bool, typer.Option("--retryable", help="Trying again can help.")] = False,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.fail(tx, tenant, step=step, message=message, retryable=retryable, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command("change-tier", help="Move an active tenant to another tier.")
def change_tier(
    tenant: Name,
    tier: Annotated[str, typer.Argument(help="free, starter, professional or enterprise.")],
    *,
    effective_at: Annotated[
        str | None, typer.Option("--effective-at", metavar="TIME", help="From then on, instead of now.")
    ] = None,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    moment = parse_moment("--effective-at", effective_at)

    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.change_tier(tx, tenant, tier=tier, effective_at=moment, actor=actor, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="Let an active tenant do nothing for now; its data stays.")
def suspend(
    tenant: Name,
    *,
    reason: Annotated[str, typer.Option(help="Why, as a short code such as payment_overdue.")],
    note: Note = None,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.suspend(tx, tenant, reason=reason, note=note, actor=actor, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="Let a suspended tenant work again, or call off a deletion in its grace period.")
def reactivate(
    tenant: Name,
    *,
    note: Note = None,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.reactivate(tx, tenant, note=note, actor=actor, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command("schedule-deletion", help="Delete a tenant after a grace period, which `reactivate` calls off.")
def schedule_deletion(
    tenant: Name,
    *,
    grace_days: Annotated[float, typer.Option(min=0, max=3650, help="How long it is kept.")] = 30,
    note: Note = None,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.schedule_deletion(
            tx, tenant, grace=timedelta(days=grace_days), note=note, actor=actor, expected=expected
        )

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="Delete a tenant whose grace period is over. Every service erases what it holds of it.")
def delete(
    tenant: Name,
    *,
    now: Annotated[bool, typer.Option("--now", help="End the grace period. There is no way back.")] = False,
    actor: Actor = ACTOR,
    expected: Expected = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    def work(tx: "Connection", desk: "Desk") -> "Outcome":
        return desk.delete(tx, tenant, actor=actor, now=now, expected=expected)

    _do(data_dir, store, work, as_json=as_json)


@app.command(help="Show a tenant and what happened to it.")
def show(
    tenant: Name,
    *,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.tenant import store as tenants

    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = tenants.get(tx, tenant)
        email = tenants.admin_email(tx, tenant, context.keys)
        changes = tenants.history(tx, tenant)
    if as_json:
        _common.print_json({"tenant": found, "admin_email": email, "changes": changes})
        return
    typer.echo(_line(found) + (f", administrator {email}" if email else ""))
    table = new_table("version", "time", "event", "state", "actor", "note", right=("version",))
    for change in changes:
        at, actor, note = _time(change.at), change.actor_id or "-", change.note or "-"
        table.add_row(str(change.version), at, change.type, change.state, actor, note)
    print_table(table)


@app.command("list", help="List the tenants, by name.")
def list_(
    *,
    state: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    after: Annotated[str, typer.Option(metavar="TENANT", help="Go on behind this one.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many.")] = 100,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._audit_input import require_known
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.tenant import store as tenants
    from trunkline.services.tenant.lifecycle import State

    if state is not None and state not in set(State):
        require_known("--state", state, [one.value for one in State])
    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        wanted = None if state is None else State(state)
        found = tenants.listed(tx, state=wanted, after=after, limit=limit)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("tenant", "state", "tier", "region", "version", "changed", right=("version",))
    for one in found:
        row = (one.tenant, one.state, one.tier, one.region, str(one.version), _time(one.changed_at))
        table.add_row(*row)
    print_table(table)


@app.command(help="Show which services have erased a deleted tenant, and which have not answered yet.")
def receipts(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT]", help="Only this one.")] = None,
    *,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="The IAM service's database, if not in DIR.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.iam.receipts import deletions

    with offline(IAM, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        found = deletions(tx, services=context.catalogue.services, tenant=tenant)
    if as_json:
        _common.print_json(found)
        return
    if not found:
        _common.note("no tenant has ended" if tenant is None else f"tenant {tenant} has not ended")
    for one in found:
        missing = f"no answer from {', '.join(one.missing)}" if one.missing else "all have answered"
        typer.echo(f"tenant {one.tenant}, deleted {_time(one.deleted_at)}: {missing}")
        table = new_table("service", "erased", "rows", "keys", "digest", right=("rows", "keys"))
        for receipt in one.receipts:
            rows, keys = f"{receipt.records_erased:,}", str(receipt.keys_destroyed)
            table.add_row(receipt.service, _time(receipt.erased_at), rows, keys, receipt.digest[:16])
        print_table(table)


def _line(tenant: "Tenant") -> str:
    until = f" until {_time(tenant.delete_at)}" if tenant.delete_at else ""
    named = f" ({tenant.display_name})" if tenant.display_name else ""
    return f"tenant {tenant.tenant}{named}: {tenant.state}{until}, {tenant.tier}, in {tenant.region}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
