"""`trunkline notifications`: who was told what, and why; silences, retries, channels."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from trunkline.cli import _common, _notifications_channels, _notifications_rules, _notifications_silences
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._notifications import (
    Limit,
    StoreUrl,
    Tenant,
    desk,
    print_rows,
    seconds_of,
    shown_time,
)
from trunkline.errors import InvalidInput

HISTORY_HELP: Final = """List notifications, newest first; also what nobody was told of, with the reason.

[bold]Example[/bold]

  trunkline notifications history --tenant acme
"""
EXPLAIN_HELP: Final = """Say why somebody was told of an event, or was not: every rule and delivery.

[bold]Example[/bold]

  trunkline notifications explain 0199a3c4-… --tenant acme
"""
INCIDENTS_HELP: Final = """List incidents, the last changed first.

[bold]Example[/bold]

  trunkline notifications incidents --tenant acme --state firing
"""
INBOX_HELP: Final = """Show an inbox: a user's, or without --user everything of the tenant.

[bold]Example[/bold]

  trunkline notifications inbox --tenant acme --user ada
"""
DELIVERIES_HELP: Final = """List deliveries, the last changed first; `--state dead` is the dead-letter trail.

[bold]Example[/bold]

  trunkline notifications deliveries --tenant acme --state dead
"""
RETRY_HELP: Final = """Send a delivery again, now, with the same id, so that the receiver knows a copy.

[bold]Examples[/bold]

  trunkline notifications retry 5f0c… --tenant acme

  trunkline notifications retry --channel ops --since 2h --tenant acme
"""
DISCARD_HELP: Final = """Give a delivery up that waits for its next attempt.

[bold]Example[/bold]

  trunkline notifications discard 5f0c… --tenant acme
"""
app = _common.new_app("See who was told what, and why; silence, retry, try channels.", no_args_is_help=True)
app.add_typer(_notifications_silences.app, name="silence")
app.add_typer(_notifications_rules.app, name="rules")
app.add_typer(_notifications_channels.app, name="channels")
app.add_typer(_notifications_channels.secret, name="secret")
app.add_typer(_notifications_channels.user, name="user")


@app.command(help=HISTORY_HELP)
def history(
    *,
    tenant: Tenant,
    rule: Annotated[str | None, typer.Option("--rule", help="Of this rule only.")] = None,
    limit: Limit = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import queries

    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = queries.history(tx, tenant, limit=limit, rule=rule)
    if as_json:
        _common.print_json(found)
        return
    rows = [
        (
            shown_time(one.created_at),
            one.id,
            one.kind,
            one.rule,
            one.severity,
            ", ".join(f"{delivery.channel}: {_state(delivery)}" for delivery in one.deliveries) or "-",
        )
        for one in found
    ]
    print_rows(
        rows, "time", "id", "kind", "rule", "severity", "deliveries", nothing=f"nothing of {tenant} yet"
    )


def _state(delivery: object) -> str:
    state, reason = getattr(delivery, "state"), getattr(delivery, "reason")  # noqa: B009
    return f"{state} ({reason})" if reason else str(state)


@app.command(help=EXPLAIN_HELP)
def explain(
    event_id: Annotated[str, typer.Argument(help="The event's id.")],
    *,
    tenant: Tenant,
    source: Annotated[str | None, typer.Option("--source", help="Where several sources use the id.")] = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import explaining

    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = explaining.explain(tx, at.configuration, event_id, tenant=tenant, source=source)
    if as_json:
        _common.print_json(found)
        return
    typer.echo(f"{found.type} of {shown_time(found.time)}, received {shown_time(found.received_at)}")
    typer.echo(f"  {found.summary}")
    for decision in found.decisions:
        typer.echo(f"rule {decision.rule}: {decision.outcome}: {decision.why}")
        told = decision.notification
        for delivery in told.deliveries if told is not None else ():
            target = f" to {delivery.target}" if delivery.target else ""
            typer.echo(f"  {delivery.channel}{target}: {delivery.why}  ({delivery.id})")
            for attempt in delivery.trail:
                said = f" {attempt.detail}" if attempt.detail else ""
                typer.echo(f"    {shown_time(attempt.at)} attempt {attempt.number}: {attempt.outcome}{said}")
    for name, reason in found.not_concerned.items():
        typer.echo(f"rule {name}: not concerned: {reason}")


@app.command(help=INCIDENTS_HELP)
def incidents(
    *,
    tenant: Tenant,
    state: Annotated[str | None, typer.Option("--state", help="firing or resolved.")] = None,
    limit: Limit = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import queries

    if state not in (None, "firing", "resolved"):
        raise InvalidInput(f"--state {state!r}: an incident is firing or resolved")
    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = queries.incidents(tx, tenant, limit=limit, state=state)
    if as_json:
        _common.print_json(found)
        return
    rows = [
        (one.rule, one.key, one.state, one.severity, str(one.count), shown_time(one.last_at)) for one in found
    ]
    print_rows(rows, "rule", "key", "state", "severity", "events", "last", nothing=f"no incident of {tenant}")


@app.command(help=INBOX_HELP)
def inbox(
    *,
    tenant: Tenant,
    user: Annotated[str | None, typer.Option("--user", help="Whose inbox.")] = None,
    unread: Annotated[bool, typer.Option("--unread", help="Only what was not read yet.")] = False,
    limit: Limit = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import people

    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = people.inbox(tx, tenant, user, limit=limit, unread=unread)
    if as_json:
        _common.print_json(found)
        return
    rows = [(shown_time(one.created_at), one.recipient, one.severity, one.subject) for one in found]
    print_rows(rows, "time", "user", "severity", "subject", nothing="nothing there")


@app.command(help=DELIVERIES_HELP)
def deliveries(
    *,
    tenant: Tenant,
    state: Annotated[
        str | None, typer.Option("--state", help="pending, leased, sent, dead or suppressed.")
    ] = None,
    channel: Annotated[str | None, typer.Option("--channel", help="On this channel only.")] = None,
    limit: Limit = 50,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import meanings, queries

    if state is not None and state not in meanings.STATES:
        raise InvalidInput(f"--state {state!r}: a delivery is {', '.join(meanings.STATES)}")
    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = queries.deliveries(tx, tenant, limit=limit, state=state, channel=channel)
    if as_json:
        _common.print_json(found)
        return
    rows = [
        (shown_time(one.changed_at), one.id, one.channel, one.target or "-", str(one.attempts), one.why)
        for one in found
    ]
    print_rows(rows, "time", "id", "channel", "target", "attempts", "state", nothing="no such delivery")


@app.command(help=RETRY_HELP)
def retry(
    delivery_id: Annotated[str | None, typer.Argument(help="The delivery.")] = None,
    *,
    tenant: Tenant,
    channel: Annotated[str | None, typer.Option("--channel", help="All that failed on this channel.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help="Such as 2h or 7d.")] = None,
    sent_too: Annotated[bool, typer.Option("--sent-too", help="Also what was delivered.")] = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import actions

    if (delivery_id is None) == (channel is None) or (channel is None) != (since is None):
        raise InvalidInput("give the id of a delivery, or --channel and --since")
    with desk(data_dir, store) as at, at.context.store.write() as tx:
        if channel is None:
            actions.retry(tx, tenant, str(delivery_id), now_us=at.now_us)
            number = 1
        else:
            now = datetime.now(UTC)
            number = actions.retry_all(
                tx,
                tenant,
                channel=channel,
                since=now - seconds_of(str(since)),
                until=now,
                sent_too=sent_too,
                now_us=at.now_us,
            )
            if number == 0:
                actions.channel_of(at.configuration, tenant, channel)
    if as_json:
        _common.print_json({"retried": number})
    else:
        plural = _common.counted(number, "delivery", "deliveries")
        _common.note(f"{plural} to be sent again; the running service does it")


@app.command(help=DISCARD_HELP)
def discard(
    delivery_id: Annotated[str, typer.Argument(help="The delivery.")],
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    from trunkline.services.notification import actions

    with desk(data_dir, store) as at, at.context.store.write() as tx:
        actions.discard(tx, tenant, delivery_id, now_us=at.now_us)
    _common.note(f"delivery {delivery_id} is not tried any more")
