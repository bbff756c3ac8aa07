"""`trunkline lag`: how far each consumer group is behind."""

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile

if TYPE_CHECKING:
    from trunkline.client.admin import Lag

EXAMPLE: Final = """Show how many records each consumer group has still to process.

A service's group has the service's name. Without --group, every group of the contract that has consumed
anything.

[bold]Example[/bold]

  trunkline lag --group audit-service
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def lag(
    group: Annotated[str | None, typer.Option("--group", "-g", help="One consumer group.")] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.admin import group_lag
    from trunkline.client.config import ConnectionOptions

    contract = _common.read_catalogue(catalogue)
    found = group_lag(ConnectionOptions(bootstrap_servers=bootstrap_servers), contract, group)
    if as_json:
        _common.print_json(found)
    elif found:
        _print_table(found)
    else:
        _common.note(
            "no group has consumed anything yet" if group is None else f"{group} has consumed nothing"
        )


def _print_table(found: list["Lag"]) -> None:
    from rich.table import Table

    table = Table("group", "topic", box=None)
    for heading in ("partition", "committed", "end", "lag"):
        table.add_column(heading, justify="right")
    for group, rows in groupby(found, key=lambda row: row.group):
        total = 0
        for row in rows:
            committed = "never" if row.committed is None else f"{row.committed:,}"
            table.add_row(group, row.topic, str(row.partition), committed, f"{row.end:,}", f"{row.lag:,}")
            total += row.lag
        table.add_row(group, "all topics", "", "", "", f"{total:,}", style="bold", end_section=True)
    _common.console().print(table)
