"""`trunkline lag`: how far each consumer group is behind."""

import sys
import threading
import time
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from trunkline.client.lag import Lag

WATCH_SECONDS: Final = 2.0

EXAMPLE: Final = """Show how far each consumer group is behind, in records and in time.

A service's group has the service's name. Without --group, every group of the contract that has consumed
anything. The time is the age of the first record that was not consumed; "?" where it could not be read at
once. --json tells the offsets of every partition; with --watch, one such document a line.

[bold]Example[/bold]

  trunkline lag --group audit-service --watch
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def lag(
    *,
    group: Annotated[str | None, typer.Option("--group", "-g", help="One consumer group.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help=f"Show it again every {WATCH_SECONDS:g} s until Ctrl-C.")
    ] = False,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.admin import group_lag
    from trunkline.client.time_lag import TimeLag

    contract = _common.read_catalogue(catalogue)
    connection = _connection.connection(
        bootstrap_servers, client_id="trunkline-lag", properties=client_properties
    )
    stopping = threading.Event()
    with TimeLag(connection) as time_lag:

        def look() -> "list[Lag]":
            return time_lag.measure(group_lag(connection, contract, group), now=time.time())

        if not watch:
            _show(look(), group, as_json=as_json)
            for topic, why in time_lag.refusals.items():
                _common.note(f"how old the lag in {topic} is cannot be read: {why}")
            return
        with _common.on_stop_signal(stopping.set):
            while not stopping.is_set():
                found = look()
                if sys.stdout.isatty() and not as_json:
                    _common.console().clear()
                _show(found, group, as_json=as_json)
                sys.stdout.flush()
                stopping.wait(WATCH_SECONDS)


def _show(found: "list[Lag]", group: str | None, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(found)
    elif found:
        from trunkline.cli._tables import print_table

        print_table(_table(found))
    else:
        _common.note(
            "no group has consumed anything yet" if group is None else f"{group} has consumed nothing"
        )


def _table(found: "list[Lag]") -> "Table":
    from trunkline.cli._tables import new_table

    counts = ("partitions", "lag", "time")
    table = new_table("group", "topic", *counts, right=counts)
    for group, in_group in groupby(found, key=lambda row: row.group):
        of_group = list(in_group)
        for topic, in_topic in groupby(of_group, key=lambda row: row.topic):
            table.add_row(group, topic, *_sums(list(in_topic)))
        table.add_row(group, "all topics", *_sums(of_group), style="bold")
    return table


def _sums(rows: "list[Lag]") -> tuple[str, str, str]:
    return str(len(rows)), f"{sum(row.lag for row in rows):,}", _age(row.seconds for row in rows)


def _age(seconds: "Iterable[float | None]") -> str:
    """The greatest of these for a person; at least so much where one is not known."""
    every = list(seconds)
    known = [one for one in every if one is not None]
    if not known:
        return "?"
    return ("≥ " if len(known) < len(every) else "") + _duration(max(known))


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3_600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3_600:.1f} h"
