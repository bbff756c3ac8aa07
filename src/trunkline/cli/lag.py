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
anything. --json tells the offsets of every partition.

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
    from trunkline.cli._tables import new_table, print_table

    counts = ("partitions", "lag")
    table = new_table("group", "topic", *counts, right=counts)
    for group, of_group in groupby(found, key=lambda row: row.group):
        partitions = total = 0
        for topic, of_topic in groupby(of_group, key=lambda row: row.topic):
            behind = [row.lag for row in of_topic]
            table.add_row(group, topic, str(len(behind)), f"{sum(behind):,}")
            partitions, total = partitions + len(behind), total + sum(behind)
        table.add_row(group, "all topics", str(partitions), f"{total:,}", style="bold")
    print_table(table)
