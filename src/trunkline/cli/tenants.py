"""`trunkline tenants`: which tenant sits on which partition, and what growing a topic would change."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.client.tenants import Spread

SHOWN: Final = 20

EXAMPLE: Final = """Show which tenants load which partition of a topic, and what more partitions would change.

Records of a partition are counted; whose they are is sampled from the newest 100,000 of the topic, or counted
with --all. Skew is the fullest partition over the mean. Reading here moves nobody's position.

[bold]Example[/bold]

  trunkline tenants query.execution.events --growth 12

  trunkline tenants --tenant acme
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def tenants(
    *,
    topic: Annotated[str | None, typer.Argument(help="The topic.")] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", help="Where this tenant is, in every topic.")
    ] = None,
    growth: Annotated[
        int | None, typer.Option("--growth", min=1, help="What so many partitions would change.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Read every record, not a sample.")] = False,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.names import TENANT_PATTERN
    from trunkline.client.tenants import SAMPLE_RECORDS, placed, spread

    if (topic is None) == (tenant is None):
        raise InvalidInput("give a topic, or --tenant to see where one is in every topic")
    if tenant is not None and not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"--tenant {tenant!r}: use up to 64 letters, digits, '.', '_' or '-'")
    if tenant is not None and (growth is not None or everything):
        raise InvalidInput("--growth and --all are for a topic; give one instead of --tenant")
    to = connection(bootstrap_servers, properties=client_properties)
    if tenant is not None:
        where = placed(to, _common.read_catalogue(catalogue), tenant)
        if as_json:
            _common.print_json({"tenant": tenant, "partitions": where})
        else:
            _print_places(where)
        return
    assert topic is not None, "checked above"
    found = spread(to, topic, growth=growth, sample=None if everything else SAMPLE_RECORDS)
    if as_json:
        _common.print_json(found)
    else:
        _print_spread(found)


def _print_places(where: dict[str, int]) -> None:
    from trunkline.cli._tables import new_table, print_table

    table = new_table("topic", "partition", right=("partition",))
    for topic, partition in where.items():
        table.add_row(topic, str(partition))
    print_table(table)


def _print_spread(found: "Spread") -> None:
    from trunkline.cli._tables import new_table, print_table

    counts = ("partition", "records", "KiB", "tenants")
    partitions = new_table(*counts, right=counts)
    for load in found.partitions:
        partitions.add_row(
            str(load.partition), f"{load.records:,}", f"{load.bytes / 1024:,.0f}", f"{load.tenants:,}"
        )
    print_table(partitions)
    typer.echo()
    figures = ("records", "share", "partition")
    table = new_table("tenant", *figures, "after" if found.growth else "", right=figures)
    for tenant in found.tenants[:SHOWN]:
        table.add_row(
            "(no key)" if tenant.tenant is None else tenant.tenant,
            f"{tenant.records:,}",
            f"{tenant.share:.1%}",
            str(tenant.partition),
            "" if tenant.moves_to is None else f"moves to {tenant.moves_to}",
        )
    print_table(table)
    for line in _summary(found):
        typer.echo(line)


def _summary(found: "Spread") -> list[str]:
    how = "all records read" if found.complete else "tenants by a sample of the newest records"
    lines = [f"{_common.counted(len(found.tenants), 'tenant')}, skew {found.skew:.2f}; {how}"]
    if found.growth is not None:
        lines.append(
            f"with {found.growth} partitions: {_common.counted(found.moving, 'tenant')} would move, skew "
            f"{found.skew_after:.2f}"
        )
    return lines
