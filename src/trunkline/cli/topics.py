"""`trunkline topics`: the contract's topics against the cluster's."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from trunkline.client.admin import TopicView

EXAMPLE: Final = """Compare the contract's topics with the cluster's: partitions, records, both ends.

[bold]Example[/bold]

  trunkline topics --json
  trunkline topics create --environment development
"""

CREATE_EXAMPLE: Final = """Create the contract's topics where they are missing; a second time changes nothing.

A topic that is there and differs from the contract is reported, never changed, and the exit code is 1.

[bold]Example[/bold]

  trunkline topics create --environment production --bootstrap-servers kafka:9092
"""

app = _common.new_app(EXAMPLE, invoke_without_command=True)


@app.callback(help=EXAMPLE)
def topics(
    context: typer.Context,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from trunkline.client.admin import topic_views

    contract = _common.read_catalogue(catalogue)
    views = topic_views(_connection.connection(bootstrap_servers), contract)
    if as_json:
        _common.print_json([_as_json(view) for view in views])
    else:
        _print_table(views, services=len(contract.services))


@app.command(help=CREATE_EXAMPLE)
def create(
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="Whose partitions and settings to use.")
    ] = "development",
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.admin import Standing, ensure_topics

    contract = _common.read_catalogue(catalogue)
    ensured = ensure_topics(_connection.connection(bootstrap_servers), contract, environment)
    if as_json:
        _common.print_json(ensured)
    else:
        for topic in ensured:
            differences = f" ({'; '.join(topic.differences)})" if topic.differences else ""
            typer.echo(f"{topic.standing:<9} {topic.name}{differences}")
    different = [topic.name for topic in ensured if topic.standing is Standing.DIFFERENT]
    if different:
        raise TrunklineError(f"{len(different)} topics differ from the contract: {', '.join(different)}")


def _as_json(view: "TopicView") -> dict[str, object]:
    return {
        "name": view.name,
        "standing": view.standing,
        "publisher": view.publisher,
        "consumers": view.consumers,
        "records": _records(view),
        "partitions": [
            {"partition": number, "first_offset": low, "next_offset": high}
            for number, (low, high) in view.offsets.items()
        ],
    }


def _print_table(views: list["TopicView"], *, services: int) -> None:
    from trunkline.cli._tables import new_table, print_table

    counts = ("partitions", "records")
    table = new_table("topic", *counts, "publisher", "consumers", right=counts)
    for view in views:
        there = bool(view.partitions)
        table.add_row(
            view.name,
            str(view.partitions) if there else "missing",
            f"{_records(view):,}" if there else "",
            view.publisher,
            "all services" if len(view.consumers) == services else ", ".join(view.consumers),
        )
    print_table(table)


def _records(view: "TopicView") -> int:
    return sum(high - low for low, high in view.offsets.values())
