"""`trunkline up`: the whole backbone on one machine."""

import shutil
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, CatalogueFile, DataDir, Engine
from trunkline.errors import TrunklineError

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.cli._display import Display
    from trunkline.cli._feed import Tally
    from trunkline.cli._stack import Stack

FREE_BYTES_MIN: Final = 1 << 20
"""Less than a mebibyte does not hold another batch."""

STATUS_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 0.2
TENANTS: Final = 12
RATE_MAX: Final = 5_000

HELP: Final = """Run broker and services on this machine until Ctrl-C; all data stays in one directory.

What dies is started again. A second `up` on the same directory or port is refused.

[bold]Example[/bold]

  trunkline up --data-dir ./trunkline-data --feed
  trunkline up --engine kafka --brokers 3
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
    engine: Annotated[
        Engine, typer.Option(help="The embedded broker, or real Apache Kafka, which needs Java.")
    ] = Engine.EMBEDDED,
    brokers: Annotated[int, typer.Option(help="1 or 3; more than 1 only with --engine kafka.")] = 1,
    kafka_home: Annotated[
        Path | None,
        typer.Option(
            envvar="KAFKA_HOME", metavar="DIR", help="An unpacked Kafka; without it Maven fetches one."
        ),
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run this service only; may be repeated.")
    ] = None,
    api_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65_000,
            help="The port of the first service's HTTP API, the others' follow; 0 takes free ones.",
        ),
    ] = 8100,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.cli._display import display_for
    from trunkline.cli._processes import Interrupted
    from trunkline.cli._stack import Machine, Stack
    from trunkline.services import RUNNABLE, runnable

    contract = _common.read_catalogue(catalogue)
    for name in service or ():
        runnable(contract.service(name).name)
    machine = Machine(
        data_dir=data_dir,
        catalogue=contract,
        catalogue_file=catalogue,
        host=host,
        port=port,
        engine=engine,
        brokers=brokers,
        kafka_home=kafka_home,
        services=tuple(service or RUNNABLE),
        api_port=api_port,
    )
    stopping = threading.Event()
    failed: list[TrunklineError] = []
    display = display_for(as_json=as_json)
    with _common.on_stop_signal(stopping.set), suppress(Interrupted):
        with Stack(machine, say=display.say, stopping=stopping) as stack:
            _announce(stack, data_dir, as_json=as_json)
            with ExitStack() as running:
                tally = _start_feed(running, stack, contract, rate, failed) if feed else None
                watch = Watch(
                    stack=stack, catalogue=contract, data_dir=data_dir, tally=tally, display=display
                )
                with display:
                    while not failed and not stopping.wait(WATCH_SECONDS):
                        watch.look()
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
                "api_ports": stack.api_ports,
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
        f"  kcat -b {servers} -L\n"
        f"  {me} token --tenant tenant-01 --data-dir {data_dir}   # for the services' HTTP APIs:"
    )
    for name, port in stack.api_ports.items():
        typer.echo(f"    {name:<20} http://127.0.0.1:{port}/docs")


def _start_feed(
    running: ExitStack,
    stack: "Stack",
    catalogue: "Catalogue",
    rate: float,
    failed: list[TrunklineError],
) -> "Tally":
    from datetime import UTC, datetime

    from trunkline.catalogue.names import TenantId
    from trunkline.cli._feed import Feed, Tally, open_publishers, said_by_others
    from trunkline.sources.workload import workload

    tally = Tally()
    tenants = [TenantId(f"tenant-{number:02}") for number in range(1, TENANTS + 1)]
    # A new seed for every run: a feed adds to what is there, and ids that came before would be duplicates.
    events = workload(time.time_ns(), tenants, clock=lambda: datetime.now(UTC), catalogue=catalogue)
    publishers = running.enter_context(open_publishers(catalogue, stack.connection_of))
    feed = Feed(said_by_others(events), publishers, tally, rate=rate, on_error=failed.append)
    feed.start()
    running.callback(feed.stop)
    return tally


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks after the processes and keeps the figures current."""

    stack: "Stack"
    catalogue: "Catalogue"
    data_dir: Path
    tally: "Tally | None"
    display: "Display"
    _shown_at: float = 0.0
    _disk_full: bool = False

    def look(self) -> None:
        """Start again what died; every `STATUS_SECONDS`, show the figures."""
        self.stack.watch()
        if time.monotonic() - self._shown_at < STATUS_SECONDS:
            return
        self._shown_at = time.monotonic()
        self._look_at_disk()
        if self.tally is not None:
            self.tally.settle()
        self._show()

    def _show(self) -> None:
        from trunkline.cli._counts import count

        published = dict(self.tally.published_by_topic) if self.tally is not None else {}
        try:
            counts = count(self.stack.connection, self.catalogue, self.data_dir, published)
        except TrunklineError as error:
            self.display.say(str(error))
        else:
            self.display.show(counts, title=f"Kafka at {self.stack.bootstrap_servers}")

    def _look_at_disk(self) -> None:
        """A full disk shows as refused events and dead services; say what is behind that."""
        full = shutil.disk_usage(self.data_dir).free < FREE_BYTES_MIN
        if full and not self._disk_full:
            self.display.say(f"the disk of {self.data_dir} is full: events are refused until there is space")
        if self._disk_full and not full:
            self.display.say(f"the disk of {self.data_dir} has space again")
        self._disk_full = full
