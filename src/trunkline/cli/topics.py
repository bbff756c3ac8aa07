"""`trunkline topics`: the contract's topics against the cluster's; creating and growing them."""

import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties, connection
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.client.admin import TopicView
    from trunkline.client.growth.progress import Progress

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

GROW_EXAMPLE: Final = """Give a topic more partitions without changing the order of any tenant's events.

The topic is closed to publishers, which wait; every consumer group drains it; the partitions are added; the
topic is opened. The same command again goes on with a growth that was interrupted, from any machine. If a
group does not get there in time, the topic is opened again without having grown, and the exit code is 1.

[bold]Example[/bold]

  trunkline topics grow query.execution.events --partitions 12
"""

INTERRUPTED: Final = 130

DRAIN_SECONDS_MAX: Final = 100.0
"""Publishers hold events for the 120 s of their delivery time-out; the rest of a growth takes some ten."""

app = _common.new_app(EXAMPLE, invoke_without_command=True)


@app.callback(help=EXAMPLE)
def topics(
    context: typer.Context,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from trunkline.client.admin import topic_views

    contract = _common.read_catalogue(catalogue)
    views = topic_views(connection(bootstrap_servers, properties=client_properties), contract)
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
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.admin import Standing, ensure_topics

    contract = _common.read_catalogue(catalogue)
    to = connection(bootstrap_servers, properties=client_properties)
    ensured = ensure_topics(to, contract, environment)
    if as_json:
        _common.print_json(ensured)
    else:
        for topic in ensured:
            differences = f" ({'; '.join(topic.differences)})" if topic.differences else ""
            typer.echo(f"{topic.standing:<9} {topic.name}{differences}")
    different = [topic.name for topic in ensured if topic.standing is Standing.DIFFERENT]
    if different:
        raise TrunklineError(f"{len(different)} topics differ from the contract: {', '.join(different)}")


@app.command(help=GROW_EXAMPLE)
def grow(
    *,
    topic: Annotated[str, typer.Argument(help="The topic.")],
    partitions: Annotated[
        int | None,
        typer.Option("--partitions", "-n", min=1, help="How many in all: a multiple of what there are."),
    ] = None,
    drain_timeout: Annotated[
        float,
        typer.Option(
            "--drain-timeout", min=1, max=DRAIN_SECONDS_MAX, metavar="S", help="Seconds that the groups get."
        ),
    ] = 60.0,
    ignore_group: Annotated[
        list[str] | None, typer.Option("--ignore-group", help="A group that need not drain; repeatable.")
    ] = None,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Open the topic again; not once partitions were added.")
    ] = False,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="Only add the partitions: tenants that move are read out of order."),
    ] = False,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.errors import GrowthStopped
    from trunkline.client.growth.drainage import expected_groups
    from trunkline.client.growth.grow import Grower
    from trunkline.client.growth.progress import Pace

    if (partitions is None) != abandon:
        raise InvalidInput("give --partitions to grow, or --abandon to open the topic again")
    if unsafe and abandon:
        raise InvalidInput("--unsafe leaves nothing to abandon; give one of the two")
    shown = _GrowthDisplay(as_json=as_json)
    grower = Grower(
        connection(bootstrap_servers, properties=client_properties),
        consumers=expected_groups(_common.read_catalogue(catalogue), topic),
        ignored=ignore_group or (),
        pace=Pace(drain=drain_timeout),
        tell=shown.tell,
    )
    with _common.on_stop_signal(grower.stop):
        try:
            if partitions is None:
                grower.abandon(topic)
            elif unsafe:
                grower.grow_unsafely(topic, partitions)
                _common.note(
                    f"{topic} has {partitions} partitions; events of tenants that moved are read out of order"
                )
            else:
                grower.grow(topic, partitions)
        except GrowthStopped as stopped:
            if not grower.stopping:
                raise
            _common.note(str(stopped))
            raise typer.Exit(INTERRUPTED) from None
        finally:
            shown.end()


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


_DOING: Final = {
    "resuming": "going on with what an earlier run began",
    "closing": "closing the topic to publishers",
    "closed": "closed: publishers wait",
    "drained": "every group has drained it",
    "added": "{to} partitions; staying closed until no publisher can use the old number",
    "overdue": "groups are behind with the last records; consumers hold the new partitions until then",
    "settled": "settled: where the new partitions begin is in the journal",
    "opened": "open: publishers go on",
    "done": "grown from {from_} to {to} partitions",
    "abandoned": "abandoned: open again, and as many partitions as before",
}


class _GrowthDisplay:
    """A line a step; while draining, one that changes in place on a terminal."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._live = sys.stdout.isatty()
        self._last = ""
        self._in_place = False

    def tell(self, progress: "Progress") -> None:
        if self._as_json:
            _common.print_json(progress)
            return
        if progress.doing == "draining":
            self._drain(progress)
            return
        self.end()
        text = _DOING[progress.doing].format(from_=progress.before, to=progress.after)
        typer.echo(f"{progress.seconds:6.1f} s  {progress.topic}: {text}")

    def end(self) -> None:
        """Leave the line that changes in place."""
        if self._in_place:
            typer.echo()
        self._in_place = False

    def _drain(self, progress: "Progress") -> None:
        lags = ", ".join(f"{group} {lag:,}" for group, lag in sorted(progress.lags.items()))
        text = f"draining: {lags or 'no group reads it'}"
        if text == self._last:
            return
        self._last = text
        line = f"{progress.seconds:6.1f} s  {progress.topic}: {text}"
        if self._live:
            typer.echo(f"\r\x1b[K{line}", nl=False)
            self._in_place = True
        else:
            typer.echo(line)
