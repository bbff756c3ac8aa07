"""`trunkline config`: what is configured, and which instance knows it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers
from trunkline.cli._connection import ClientProperties
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from trunkline.client.broadcast.overview import InstanceView

EXAMPLE: Final = """Look up the configuration, and see which instance of which service has applied it.

[bold]Example[/bold]

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
INSTANCES_EXAMPLE: Final = """Show how each instance of each service stands, by what it said last.

[bold]current[/bold] has applied everything; [bold]behind[/bold] has not yet; [bold]stale[/bold] does not know
whether it has; [bold]diverged[/bold] has applied the same and has come to another state than most;
[bold]gone[/bold] has been silent for 15 s without having stopped, and is listed for an hour.

[bold]Example[/bold]

  trunkline config instances --behind
"""
DIGEST_EXAMPLE: Final = """Print the digest of what the topic adds up to: that of an instance that is current.

[bold]Example[/bold]

  trunkline config digest
"""

app = _common.new_app(EXAMPLE, no_args_is_help=True)


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
        typer.echo(f"{_value(found.value)}  ({found.level}, version {found.version})")


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
            scope, value = listed.scope or "-", _value(listed.value)
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


@app.command(help=INSTANCES_EXAMPLE)
def instances(
    *,
    behind: Annotated[
        bool, typer.Option("--behind", help="Only those that are anything but current.")
    ] = False,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.broadcast.overview import Standing
    from trunkline.client.broadcast.reading import read_overview

    found = read_overview(
        _connection.connection(bootstrap_servers, properties=client_properties), now=datetime.now(UTC)
    )
    shown = [view for view in found if not (behind and view.standing is Standing.CURRENT)]
    if as_json:
        _common.print_json(shown)
    elif shown:
        _print_table(shown)
    elif found:
        _common.note(f"{_common.counted(len(found), 'instance')}, all current")
    else:
        _common.note("no instance has said anything within the last hour")


def _print_table(views: list["InstanceView"]) -> None:
    from trunkline.cli._tables import new_table, print_table

    counts = ("behind", "seen", "rejected")
    table = new_table("service", "instance", "standing", *counts, "digest", "last rejected", right=counts)
    for view in views:
        table.add_row(
            view.service,
            view.instance,
            view.standing,
            f"{view.behind:,}",
            f"{view.seen_seconds:.0f} s ago",
            f"{view.rejected:,}",
            view.digest[:12],
            view.last_rejected or "-",
        )
    print_table(table)


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()
