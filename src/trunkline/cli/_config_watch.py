"""`trunkline config` commands that look at the instances: who has applied what, and waiting for all."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers
from trunkline.cli._config_options import Environment, Flag, Key, Service, Tenant, name_of
from trunkline.cli._connection import ClientProperties

if TYPE_CHECKING:
    from trunkline.client.broadcast.barrier import Barrier
    from trunkline.client.broadcast.entries import Name
    from trunkline.client.broadcast.overview import InstanceView
    from trunkline.client.config import ConnectionOptions

WAIT_SECONDS: Final = 30.0
WAITING_SHOWN_MAX: Final = 5

INSTANCES_EXAMPLE: Final = """Show how each instance of each service stands, by what it said last.

[bold]current[/bold] has applied everything; [bold]behind[/bold] has not yet; [bold]stale[/bold] does not know
whether it has; [bold]diverged[/bold] has applied the same and has come to another state than most;
[bold]gone[/bold] has been silent for 15 s without having stopped, and is listed for an hour.

[bold]Example[/bold]

  trunkline config instances --behind
"""
WAIT_EXAMPLE: Final = """Wait until every instance that runs has applied a version; exit 1 after the time-out.

[bold]Example[/bold]

  trunkline config wait query.timeout_ms --version 7 --tenant acme --timeout 60
"""


def wait(
    key: Key,
    *,
    version: Annotated[int, typer.Option("--version", min=1, help="This version, or a later one.")],
    flag: Flag = False,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How many seconds.")] = WAIT_SECONDS,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment, flag=flag)
    connection = _connection.connection(bootstrap_servers, properties=client_properties)
    wait_for(connection, name, version, seconds=timeout, as_json=as_json)


def wait_for(
    connection: "ConnectionOptions", name: "Name", version: int, *, seconds: float, as_json: bool
) -> None:
    """Wait and say what it came to; exit 1 when not everybody has it."""
    from trunkline.client.broadcast.barrier import wait_applied

    barrier = wait_applied(connection, name, version=version, seconds=seconds)
    if as_json:
        waiting = [f"{view.service}/{view.instance}" for view in barrier.waiting]
        _common.print_json(
            {
                "key": name.key,
                "wanted": version,
                "version": barrier.version,
                "passed": barrier.passed,
                "instances": barrier.instances,
                "waiting": waiting,
            }
        )
    else:
        _common.note(_said(barrier, name, version, seconds))
    if not barrier.passed:
        raise typer.Exit(1)


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


def _said(barrier: "Barrier", name: "Name", version: int, seconds: float) -> str:
    if barrier.passed:
        there = _common.counted(barrier.instances, "instance")
        return f"{name.key} is in version {barrier.version} on {there}"
    if not barrier.published:
        now = f"version {barrier.version} is" if barrier.version else "none is"
        return (
            f"version {version} of {name.key} was not in the topic within {seconds:g} s, {now}; "
            "changes go out while config-service runs"
        )
    names = [f"{view.service}/{view.instance} ({view.standing})" for view in barrier.waiting]
    more = f" and {len(names) - WAITING_SHOWN_MAX} more" if len(names) > WAITING_SHOWN_MAX else ""
    return (
        f"after {seconds:g} s {len(names)} of {_common.counted(barrier.instances, 'instance')} have not "
        f"applied version {version} of {name.key}: {', '.join(names[:WAITING_SHOWN_MAX])}{more}"
    )


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
