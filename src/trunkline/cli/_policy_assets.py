"""The commands of `trunkline policy` about assets: what keeps readers away, and the word of people."""

from typing import Annotated, Final, cast, get_args

import typer

from trunkline.catalogue.events.policy import Mode
from trunkline.cli import _common
from trunkline.cli._audit_input import require_known
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
    reading,
    show_held,
    until,
)

QUARANTINE_HELP: Final = """Keep readers from an asset for a while, whatever its checks say.

[bold]Example[/bold]

  trunkline policy quarantine main.orders --tenant acme --for 7d --reason "wrong currency"
"""
RELEASE_HELP: Final = """Let readers back to an asset for a while, whatever its checks say.

[bold]Example[/bold]

  trunkline policy release main.orders --tenant acme --for 12h --reason "known gap"
"""
OVERRIDE_HELP: Final = """List what people want of assets against their checks, or end one such word at once.

[bold]Examples[/bold]

  trunkline policy override --tenant acme

  trunkline policy override --tenant acme --end main.orders
"""
ASSET_HELP: Final = """Show what keeps readers from an asset, what its checks say, and its tags.

[bold]Example[/bold]

  trunkline policy asset main.orders --tenant acme
"""
EXPLAIN_HELP: Final = """Explain a decision: by which rule and event, and enforced by which revision.

[bold]Example[/bold]

  trunkline policy explain-decision 5f0c… --tenant acme
"""

Asset = Annotated[str, typer.Argument(metavar="ASSET", help="A table as SQL names it, or a URN.")]
For = Annotated[str, typer.Option("--for", metavar="TIME", help="30m, 12h, 7d; up to 90 days.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(help=QUARANTINE_HELP)(quarantine)
    app.command(help=RELEASE_HELP)(release)
    app.command(help=OVERRIDE_HELP)(override)
    app.command(help=ASSET_HELP)(asset)
    app.command()(decisions)
    app.command("explain-decision", help=EXPLAIN_HELP)(explain_decision)


def quarantine(
    asset: Asset,
    *,
    tenant: Tenant,
    mode: Annotated[str, typer.Option(help="enforce, warn or monitor.")] = "enforce",
    duration: For = "7d",
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance.holds import hold

    require_known("--mode", mode, get_args(Mode))
    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = hold(
            desk.tx,
            desk.outbox,
            asset,
            cast("Mode", mode),
            desk.order,
            until=until(duration, desk.order.now),
            exempt_roles=desk.exempt_roles,
        )
    show_held(done, as_json=as_json)


def release(
    asset: Asset,
    *,
    tenant: Tenant,
    duration: For = "24h",
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance.holds import hold

    with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
        done = hold(
            desk.tx,
            desk.outbox,
            asset,
            "released",
            desk.order,
            until=until(duration, desk.order.now),
            exempt_roles=desk.exempt_roles,
        )
    show_held(done, as_json=as_json)


def override(
    *,
    tenant: Tenant,
    end: Annotated[str | None, typer.Option("--end", metavar="ASSET", help="End this one now.")] = None,
    actor: Actor = ACTOR,
    reason: Why = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.governance import asset_queries
    from trunkline.services.governance.holds import end_override

    if end is not None:
        with ordering(tenant, data_dir=data_dir, store=store, actor=actor, reason=reason) as desk:
            done = end_override(desk.tx, desk.outbox, end, desk.order, exempt_roles=desk.exempt_roles)
        show_held(done, as_json=as_json)
        return
    with reading(data_dir=data_dir, store=store) as tx:
        found = asset_queries.overrides(tx, tenant)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("asset", "wanted", "until", "by", "reason")
    for one in found:
        table.add_row(one.asset, one.wanted, moment(one.until), one.actor_id, one.reason)
    print_table(table)


def asset(
    asset: Asset,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import asset_queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = asset_queries.asset(tx, tenant, asset)
    if as_json:
        _common.print_json(found)
        return
    state = (
        "is open to readers" if found.mode is None else f"is quarantined, mode {found.mode}: {found.reason}"
    )
    typer.echo(f"{found.asset} {state}")
    if found.override is not None:
        until_ = moment(found.override.until)
        typer.echo(f"  {found.override.actor_id} wants it {found.override.wanted} until {until_}")
    for check in found.checks:
        says = "is fine" if check.failing is None else f"is failing, mode {check.failing} ({check.rule})"
        typer.echo(f"  check {check.check_id} {says}; newest first: {', '.join(check.results[:10])}")
    for tag in found.tags:
        typer.echo(f"  tag {tag.tag} {tag.ref}: {tag.detail}")


def decisions(
    *,
    tenant: Tenant,
    asset: Annotated[str | None, typer.Option("--asset", help="About this one only.")] = None,
    limit: Limit = 20,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List decisions about assets, the newest first."""
    from trunkline.cli._tables import new_table, print_table
    from trunkline.services.governance import asset_queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = asset_queries.decisions(tx, tenant, asset=asset, limit=limit)
    if as_json:
        _common.print_json(found)
        return
    table = new_table("decided", "action", "mode", "asset", "decision", "reason")
    for one in found:
        row = (moment(one.decided_at), one.action, one.mode or "", one.asset, one.id, one.reason)
        table.add_row(*row)
    print_table(table)


def explain_decision(
    decision_id: Annotated[str, typer.Argument(metavar="DECISION", help="The decision's id.")],
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.governance import asset_queries

    with reading(data_dir=data_dir, store=store) as tx:
        found = asset_queries.decision(tx, tenant, decision_id)
    if as_json:
        _common.print_json(found)
        return
    mode = f", mode {found.mode}" if found.mode else ""
    typer.echo(f"{moment(found.decided_at)}  {found.action} {found.asset}{mode}")
    typer.echo(f"  decided by {found.actor_id}, rule {found.rule}: {found.reason}")
    if found.cause_id:
        typer.echo(f"  because of event {found.cause_id} of {found.cause_source}; see `trunkline audit`")
    if found.ends:
        typer.echo(f"  in place of decision {found.ends}")
    if found.until:
        typer.echo(f"  until {moment(found.until)}")
    enforced = (
        "nothing enforces it" if found.revision is None else f"enforced from revision {found.revision} on"
    )
    typer.echo(f"  {enforced}")
