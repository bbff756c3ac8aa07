"""`trunkline relay`: publishes a service's outbox, and settles what the cluster refuses."""

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties
from trunkline.errors import InvalidInput, TrunklineError, Unavailable

if TYPE_CHECKING:
    from trunkline.client.outbox import Relay
    from trunkline.client.store import Store

READY_POLL_S: Final = 0.2

EXAMPLE: Final = """Publish the events of a service's outbox until Ctrl-C or SIGTERM.

Events that the service has added in its own transactions are published at least once, each tenant's in the
order of commit. Any number of relays may run for one store; they share the tenants.

[bold]Examples[/bold]

  trunkline relay --store postgresql://me@127.0.0.1/orders --service query-engine
  trunkline relay stuck --store sqlite:///orders.db
  trunkline relay discard 17 --store sqlite:///orders.db --note "sent by hand"
"""

StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The database that holds the outbox.")
]

app = _common.new_app(EXAMPLE, invoke_without_command=True)


@app.callback()
def relay(
    context: typer.Context,
    *,
    store: StoreUrl = None,
    service: Annotated[
        str | None, typer.Option("--service", metavar="NAME", help="Who publishes, as the catalogue has it.")
    ] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65_535, help="Serve Prometheus metrics on this port."),
    ] = None,
    listen_address: Annotated[
        str, typer.Option("--listen-address", metavar="HOST", help="Where this port is.")
    ] = "127.0.0.1",
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is not None:
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from trunkline.cli._logging import keeping_a_log
    from trunkline.client.outbox import Relay
    from trunkline.client.publisher import Publisher

    with keeping_a_log(as_json=as_json):
        if service is None:
            raise InvalidInput("no service: say with --service who publishes")
        connection = _connection.connection(
            bootstrap_servers, client_id=service, properties=client_properties
        )
        contract = _common.read_catalogue(catalogue)
        registry = CollectorRegistry()
        with (
            closing(_open(store)) as opened,
            Publisher(service=service, connection=connection, catalogue=contract) as publisher,
        ):
            port = None
            if metrics_port is not None:
                try:
                    server, _ = start_http_server(metrics_port, addr=listen_address, registry=registry)
                except OSError as error:
                    raise Unavailable(
                        f"metrics port {metrics_port}: {error.strerror}; choose another --metrics-port"
                    ) from error
                port = server.server_port
            ready = {"service": service, "store": opened.url, "metrics_port": port}
            try:
                _serve(Relay(opened, publisher, registry=registry), ready, as_json=as_json)
            finally:
                # The relay has given what was under way its time; the rest stays in the outbox.
                publisher.close(0)


@app.command(help="List the events that were refused; their tenants' later events wait behind them.")
def stuck(store: StoreUrl = None, as_json: AsJson = False) -> None:
    from trunkline.client.outbox import rows

    with closing(_open(store)) as opened, opened.read() as tx:
        found = rows.stuck(tx)
    if as_json:
        _common.print_json(found)
        return
    for event in found:
        typer.echo(
            f"{event.position}  {event.tenant}  {event.type} {event.id}  "
            f"{_common.counted(event.attempts, 'attempt')}: {event.error}"
        )
    if not found:
        typer.echo("nothing is stuck")


@app.command(help="Give up stuck events. They stay on record; their tenants go on behind them.")
def discard(
    positions: Annotated[list[int], typer.Argument(help="As `trunkline relay stuck` shows them.")],
    note: Annotated[str, typer.Option("--note", help="Why; it is kept.")],
    store: StoreUrl = None,
) -> None:
    from trunkline.client.outbox import rows

    with closing(_open(store)) as opened, opened.write() as tx:
        rows.discard(tx, positions, note=note, now_ms=int(time.time() * 1000))
    typer.echo(f"discarded {_common.counted(len(positions), 'event')}")


def _serve(relay: "Relay", ready: Mapping[str, object], *, as_json: bool) -> None:
    """Run the relay until a signal; one line says that it serves."""
    ended = threading.Event()
    failures: list[TrunklineError] = []

    def fail(error: TrunklineError) -> None:
        failures.append(error)
        ended.set()

    relay.start(on_failure=fail)
    try:
        with _common.on_stop_signal(ended.set):
            while not ended.is_set() and not relay.wait_started(READY_POLL_S):
                continue
            if not ended.is_set():
                if as_json:
                    _common.print_json(ready)
                else:
                    typer.echo(f"{ready['service']} publishes the outbox in {ready['store']}")
                sys.stdout.flush()
            _common.wait(ended)
    finally:
        relay.stop()
    if failures:
        raise failures[0]


def _open(url: str | None) -> "Store":
    from trunkline.client.outbox import OUTBOX
    from trunkline.client.store import migrate, open_store

    if url is None:
        raise InvalidInput("no store: say with --store URL which database holds the outbox")
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and not path.exists():
        raise InvalidInput(
            f"there is no database at {path}; start the service that keeps its outbox there first"
        )
    opened = open_store(url)
    migrate(opened, OUTBOX)
    return opened
