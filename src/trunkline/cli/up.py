"""`trunkline up`: the whole backbone on one machine."""

import sys
import threading
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, CatalogueFile, DataDir
from trunkline.errors import TrunklineError, Unavailable

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.cli._feed import Tally
    from trunkline.cli._stack import Stack

STATUS_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 0.2
TENANTS: Final = 12
RATE_MAX: Final = 5_000

HELP: Final = """Run broker and services on this machine until Ctrl-C; all data stays in one directory.

What dies is started again. A second `up` on the same directory or port is refused.

[bold]Example[/bold]

  trunkline up --data-dir ./trunkline-data --feed
"""

app = _common.new_app(HELP)


@app.command(help=HELP)
def up(
    *,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")] = 9092,
    feed: Annotated[
        bool, typer.Option("--feed", help="Publish demo input: real queries, generated lifecycles.")
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0.1, max=RATE_MAX, help="Events a second that --feed publishes.")
    ] = 20,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._stack import Machine, Stack

    contract = _common.read_catalogue(catalogue)
    machine = Machine(data_dir=data_dir, catalogue=contract, catalogue_file=catalogue, host=host, port=port)
    stopping = threading.Event()
    with _common.on_stop_signal(stopping.set):
        with Stack(machine, say=_common.note) as stack:
            _announce(stack, data_dir, as_json=as_json)
            with ExitStack() as running:
                failed: list[TrunklineError] = []
                tally = _start_feed(running, stack, contract, rate, failed) if feed else None
                _show(stack, tally, stopping, failed, catalogue=contract, data_dir=data_dir, as_json=as_json)
            _common.note("stopping: services first, then the broker")
        if failed:
            raise failed[0]
    _common.note("stopped")


def _announce(stack: "Stack", data_dir: Path, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(
            {
                "bootstrap_servers": stack.bootstrap_servers,
                "cluster_id": stack.cluster_id,
                "data_dir": str(data_dir),
                "processes": {child.name: child.pid for child in stack.children},
            }
        )
        return
    servers = stack.bootstrap_servers
    # As it was called: after `make run` the command is not on the PATH.
    me = sys.argv[0] if Path(sys.argv[0]).name == "trunkline" else "trunkline"
    typer.echo(
        f"Trunkline is up: Kafka at {servers}, data in {data_dir}\n"
        f"  {me} tail query.execution.events --follow -b {servers}\n"
        f"  {me} audit search --data-dir {data_dir}\n"
        f"  kcat -b {servers} -L"
    )


def _start_feed(
    running: ExitStack,
    stack: "Stack",
    catalogue: "Catalogue",
    rate: float,
    failed: list[TrunklineError],
) -> "Tally":
    from datetime import UTC, datetime

    from trunkline.catalogue.names import TenantId
    from trunkline.cli._feed import Feed, Tally, open_publishers
    from trunkline.sources.workload import workload

    tally = Tally()
    tenants = [TenantId(f"tenant-{number:02}") for number in range(1, TENANTS + 1)]
    # A new seed for every run: a feed adds to what is there, and ids that came before would be duplicates.
    events = workload(time.time_ns(), tenants, clock=lambda: datetime.now(UTC), catalogue=catalogue)
    publishers = open_publishers(running, catalogue, stack.connection)
    feed = Feed(events, publishers, tally, rate=rate, on_error=failed.append)
    feed.start()
    running.callback(feed.stop)
    return tally


def _show(
    stack: "Stack",
    tally: "Tally | None",
    stopping: threading.Event,
    failed: list[TrunklineError],
    *,
    catalogue: "Catalogue",
    data_dir: Path,
    as_json: bool,
) -> None:
    """Watch over the processes and keep the figures current until it is time to stop."""
    from trunkline.cli._counts import count, line_of, table_of

    live = _live() if sys.stdout.isatty() and not as_json else nullcontext()
    shown_at = 0.0
    with live as screen:
        while not failed and not stopping.wait(WATCH_SECONDS):
            stack.watch()
            if time.monotonic() - shown_at < STATUS_SECONDS:
                continue
            shown_at = time.monotonic()
            if tally is not None:
                tally.settle()
            published = dict(tally.published_by_topic) if tally is not None else {}
            try:
                counts = count(stack.connection, catalogue, data_dir, published)
            except Unavailable as error:
                _common.note(str(error))
                continue
            if as_json:
                _common.print_json({**msgspec.to_builtins(counts), "published": counts.published})
            elif screen is None:
                typer.echo(line_of(counts))
            else:
                screen.update(table_of(counts, title=f"Kafka at {stack.bootstrap_servers}"), refresh=True)


def _live() -> Any:
    from rich.live import Live

    return Live(console=_common.console(), auto_refresh=False, transient=False)
