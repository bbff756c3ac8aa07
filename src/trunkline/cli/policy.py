"""`trunkline policy`: publish, revoke and explain policies; quarantine and release assets."""

from pathlib import Path
from typing import Annotated, Final

import typer

from trunkline.cli import _common, _policy_assets
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._policy_options import (
    ACTOR,
    Actor,
    Limit,
    StoreUrl,
    Tenant,
    Why,
    moment,
    ordering,
    read_drafts,
    read_json,
    reading,
    show_activated,
)

HELP: Final = """Publish, revoke and explain policies; quarantine and release assets.

Orders work on the store of governance-service, also while it runs; their events go out when it does.

[bold]Examples[/bold]

  trunkline policy publish policies.yaml --tenant acme

  trunkline policy quarantine main.orders --tenant acme --for 7d --reason "audit"
"""
PUBLISH_HELP: Final = """Publish the policies in a file and let them decide, all in one revision or none.

A policy has policy_id, kind (access, row_filter, mask, retention), scope and body; mode and title if wanted.
One that is in force already, word for word, is left as it is.

[bold]Example[/bold]

  trunkline policy publish policies.yaml --tenant acme --reason "salaries are for the people team"
"""
CHECK_HELP: Final = """Check policies as `publish` does, and publish nothing; exit 2 if one is bad.

[bold]Example[/bold]

  trunkline policy check policies.yaml
"""
BUNDLE_HELP: Final = """Print the bundle in force, with its revision and digest; with --json whole.

[bold]Example[/bold]

  trunkline policy bundle --tenant acme --json
"""
HISTORY_HELP: Final = """List the revisions of a tenant's bundle, why and by whom; the newest first.

[bold]Example[/bold]

  trunkline policy history --tenant acme
"""
ROLLBACK_HELP: Final = """Let the policies be what they were in an earlier revision; that is a new one.

Quarantines stay as they are: checks and overrides decide on them.

[bold]Example[/bold]

  trunkline policy rollback 41 --tenant acme --reason "too strict"
"""
RESTORE_HELP: Final = """Go on from a bundle that an enforcer still has, after governance lost its store.

FILE is what `policy bundle --json` printed, or an enforcer's API. The revision goes on behind its number.

[bold]Example[/bold]

  trunkline policy restore bundle.json --tenant acme
"""

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON: a list of policies.")]
PolicyId = Annotated[str, typer.Argument(metavar="POLICY", help="The policy's id.")]

app = _common.new_app(HELP, no_args_is_help=True)


@app.command(help=PUBLISH_HELP)
def publish(
    file: File,
    *,
    tenant: Tenant,
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import orders

    drafts = read_drafts(file)
    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = orders.publish(desk.tx, desk.outbox, drafts, desk.order)
    show_activated(done, as_json=as_json)


@app.command(help=CHECK_HELP)
def check(file: File, *, as_json: AsJson = False) -> None:
    from trunkline.services.governance.orders import checked_draft

    policies = [checked_draft(draft) for draft in read_drafts(file)]
    if as_json:
        _common.print_json(policies)
        return
    for policy in policies:
        typer.echo(f"{policy.policy_id}: a good {policy.kind} of {policy.scope}")


@app.command("list")
def list_(
    *,
    tenant: Tenant,
    all_versions: Annotated[
        bool, typer.Option("--all", help="All versions, also of revoked policies.")
    ] = False,
    limit: Limit = 100,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the policies in force."""
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.governance import queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = queries.policies(tx, tenant, all_versions=all_versions, limit=limit, after=None)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("policy", "version", "kind", "mode", "state", "scope", right=("version",))
    for one in found:
        state = "active" if one.active else "revoked" if one.revoked_at else "replaced"
        table.add_row(one.policy_id, str(one.version), one.kind, one.mode, state, one.scope)
    print_table(table)


@app.command()
def show(
    policy_id: PolicyId,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show a policy in all of its versions, the newest first."""
    from trunkline.services.governance import queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = queries.policy(tx, tenant, policy_id)
    if as_json:
        _common.print_json(found)
        return
    for one in found:
        state = (
            "active" if one.active else f"revoked {moment(one.revoked_at)}" if one.revoked_at else "replaced"
        )
        typer.echo(f"{one.policy_id} version {one.version}: {one.kind}, {one.mode}, {state}")
        typer.echo(f"  scope {one.scope}, by {one.actor_id} at {moment(one.created_at)}")
        if one.title:
            typer.echo(f"  {one.title}")
        typer.echo(f"  {one.body}")


@app.command()
def revoke(
    policy_id: PolicyId,
    *,
    tenant: Tenant,
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a policy, in all of its versions."""
    from trunkline.services.governance import orders

    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = orders.revoke(desk.tx, desk.outbox, policy_id, desk.order)
    show_activated(done, as_json=as_json)


@app.command(help=BUNDLE_HELP)
def bundle(
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = queries.bundle(tx, tenant)
    if as_json:
        _common.print_json(found)
        return
    policies = _common.counted(len(found.policies), "policy", "policies")
    typer.echo(f"{tenant}: revision {found.revision}, {policies}, digest {found.digest}")
    for policy in found.policies:
        typer.echo(f"  {policy.policy_id} version {policy.version}")


@app.command(help=HISTORY_HELP)
def history(
    *,
    tenant: Tenant,
    limit: Limit = 20,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.governance import queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = queries.history(tx, tenant, limit=limit)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("revision", "activated", "by", "policies", "why", right=("revision", "policies"))
    for one in found:
        table.add_row(
            str(one.revision), moment(one.activated_at), one.actor_id, str(len(one.members)), one.cause
        )
    print_table(table)


@app.command(help=ROLLBACK_HELP)
def rollback(
    revision: Annotated[int, typer.Argument(help="The revision whose policies shall hold again.")],
    *,
    tenant: Tenant,
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import orders

    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = orders.roll_back(desk.tx, desk.outbox, revision, desk.order)
    show_activated(done, as_json=as_json)


@app.command(help=RESTORE_HELP)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle, as JSON.")],
    *,
    tenant: Tenant,
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import orders

    kept = orders.read_bundle(read_json(file, "a bundle"))
    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = orders.restore(desk.tx, desk.outbox, kept, desk.order)
    show_activated(done, as_json=as_json)


_policy_assets.add_to(app)
