"""`trunkline config`: what is configured, who changes it, and which instance knows it."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common, _config_history, _config_watch, _config_write, _connection
from trunkline.cli._common import AsJson, BootstrapServers
from trunkline.cli._config_options import place, shown
from trunkline.cli._connection import ClientProperties
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from trunkline.catalogue.events.config import Level

EXAMPLE: Final = """Set and look up the configuration, and see which instance of which service has applied it.

[bold]Examples[/bold]

  trunkline config set query.timeout_ms 30000 --tenant acme --wait

  trunkline config instances --behind
"""
GET_EXAMPLE: Final = """Look up a setting as an instance that starts now would: from the topic alone.

The narrowest level that is set wins: tenant, service, environment, global. The exit code is 1 when none is.

[bold]Example[/bold]

  trunkline config get query.timeout_ms --tenant acme --service query-engine
"""
LIST_EXAMPLE: Final = """List every setting and flag in force, with its level and version.

[bold]Example[/bold]

  trunkline config list --json
"""
DIGEST_EXAMPLE: Final = """Print the digest of what the topic adds up to: that of an instance that is current.

[bold]Example[/bold]

  trunkline config digest
"""

RESOLVE_EXAMPLE: Final = """Show on which levels a setting is set, the winner first; from the topic alone.

[bold]Example[/bold]

  trunkline config resolve query.timeout_ms --tenant acme --service query-engine
"""

app = _common.new_app(EXAMPLE, no_args_is_help=True)
app.command("set", help=_config_write.SET_EXAMPLE)(_config_write.set_)
app.command("unset", help=_config_write.UNSET_EXAMPLE)(_config_write.unset)
app.command("flag", help=_config_write.FLAG_EXAMPLE)(_config_write.flag)


@app.command(help=GET_EXAMPLE)
def get(
    key: Annotated[str, typer.Argument(help="The setting, for instance query.timeout_ms.")],
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="For this tenant.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="For this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", help="For this environment.")] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.broadcast.reading import read_state

    view = read_state(_connection.connection(bootstrap_servers, properties=client_properties)).state.view()
    found = view.value(key, tenant=tenant, service=service, environment=environment)
    if found is None:
        raise TrunklineError(f"{key} is not set here on any level; `trunkline config list` shows what is")
    if as_json:
        _common.print_json({"key": key, **msgspec.structs.asdict(found)})
    else:
        typer.echo(f"{shown(found.value)}  ({found.level}, version {found.version})")


@app.command(help=RESOLVE_EXAMPLE)
def resolve(
    key: Annotated[str, typer.Argument(help="The setting, for instance query.timeout_ms.")],
    *,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="For this tenant.")] = None,
    service: Annotated[str | None, typer.Option("--service", "-s", help="For this service.")] = None,
    environment: Annotated[str | None, typer.Option("--environment", help="For this environment.")] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.broadcast.entries import Name
    from trunkline.client.broadcast.reading import read_state

    entries = read_state(
        _connection.connection(bootstrap_servers, properties=client_properties)
    ).state.entries
    scopes: dict[Level, str | None] = {"tenant": tenant, "service": service, "environment": environment}
    asked = [Name("value", level, scope, key) for level, scope in scopes.items() if scope is not None]
    levels = [
        (name, entries[name])
        for name in (*asked, Name("value", "global", None, key))
        if name in entries and entries[name].in_force
    ]
    if not levels:
        raise TrunklineError(f"{key} is not set here on any level; `trunkline config list` shows what is")
    told = [
        {"level": name.level, "scope": name.scope, "value": entry.value, "version": entry.version}
        for name, entry in levels
    ]
    if as_json:
        _common.print_json({"key": key, **told[0], "levels": told})
        return
    for number, one in enumerate(told):
        typer.echo(
            f"{shown(one['value'])}  ({place(one)}, version {one['version']})"
            f"{'' if number == 0 else '  hidden'}"
        )


@app.command("list", help=LIST_EXAMPLE)
def list_(
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._tables import new_table, print_table
    from trunkline.client.broadcast.entries import listed_of
    from trunkline.client.broadcast.reading import read_state

    entries = read_state(
        _connection.connection(bootstrap_servers, properties=client_properties)
    ).state.entries
    in_force = [
        listed_of(name, entry)
        for name, entry in sorted(entries.items(), key=lambda item: (item[0].key, str(item[0])))
        if entry.in_force
    ]
    if as_json:
        _common.print_json(in_force)
    elif not in_force:
        _common.note("nothing is configured")
    else:
        table = new_table("key", "kind", "level", "scope", "version", "value", right=("version",))
        for listed in in_force:
            scope, value = listed.scope or "-", shown(listed.value)
            table.add_row(listed.key, listed.kind, listed.level, scope, str(listed.version), value)
        print_table(table)


@app.command(help=DIGEST_EXAMPLE)
def digest(
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.broadcast.reading import read_state

    whole = read_state(_connection.connection(bootstrap_servers, properties=client_properties))
    if as_json:
        shown: dict[str, Any] = {"digest": whole.state.digest, "entries": len(whole.state)}
        _common.print_json({**shown, "rejected": whole.rejected, "positions": whole.positions})
        return
    typer.echo(whole.state.digest)
    if whole.rejected:
        _common.note(f"{_common.counted(whole.rejected, 'record')} of the topic could not be applied")


app.command(help=_config_history.HISTORY_EXAMPLE)(_config_history.history)
app.command(help=_config_history.DIFF_EXAMPLE)(_config_history.diff)
app.command(help=_config_write.ROLLBACK_EXAMPLE)(_config_write.rollback)
app.command(help=_config_write.SCHEDULE_EXAMPLE)(_config_write.schedule)
app.command(help=_config_history.SCHEDULED_EXAMPLE)(_config_history.scheduled)
app.command(help=_config_history.APPROVE_EXAMPLE)(_config_history.approve)
app.command(help=_config_history.CANCEL_EXAMPLE)(_config_history.cancel)
app.command(help=_config_watch.WAIT_EXAMPLE)(_config_watch.wait)
app.command(help=_config_watch.INSTANCES_EXAMPLE)(_config_watch.instances)
