"""`trunkline service`: one service of the platform against any Kafka."""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile, DataDir
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX
from trunkline.errors import TrunklineError, Unavailable

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trunkline.client.runtime import ConsumerRuntime
    from trunkline.services.app import Companion

READY_POLL_S: Final = 0.2

EXAMPLE: Final = """Run one service until Ctrl-C or SIGTERM.

It consumes the topics that the catalogue gives it into a store of its own, and goes on where it was.

[bold]Example[/bold]

  trunkline service audit-service --bootstrap-servers 127.0.0.1:9092 --data-dir ./trunkline-data
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def service(
    name: Annotated[str, typer.Argument(help="The service's name in the catalogue.")],
    *,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port", min=0, max=65_535, help="Serve Prometheus metrics on this port of 127.0.0.1."
        ),
    ] = None,
    failures_in_a_row: Annotated[
        int,
        typer.Option(
            "--failures-in-a-row",
            min=0,
            help="Stop when so many events in a row fail; 0: never, they all go to the failure ledger.",
        ),
    ] = FAILURES_IN_A_ROW_MAX,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from prometheus_client import CollectorRegistry

    from trunkline.cli._logging import log_to_stderr
    from trunkline.client.config import ConnectionOptions
    from trunkline.client.runtime import ConsumerRuntime
    from trunkline.client.store import migrate, open_store
    from trunkline.services import runnable

    topics = [topic.name for topic in _common.read_catalogue(catalogue).consumed_by(name)]
    chosen = runnable(name)
    log_to_stderr(as_json=as_json)
    with closing(open_store(store or _common.service_store_url(data_dir, name))) as opened:
        migrate(opened)
        migrate(opened, chosen.component)
        failures: list[TrunklineError] = []

        def fail(error: TrunklineError) -> None:
            failures.append(error)
            runtime.stop()

        made = chosen.build(opened, data_dir, on_failure=fail)
        registry = CollectorRegistry()
        runtime = ConsumerRuntime(
            service=name,
            topics=topics,
            handler=made.handler,
            store=opened,
            connection=ConnectionOptions(bootstrap_servers=bootstrap_servers, client_id=name),
            registry=registry,
            failures_in_a_row_max=failures_in_a_row,
        )
        ready = {
            "service": name,
            "bootstrap_servers": bootstrap_servers,
            "store": opened.url,
            "metrics_port": _serve_metrics(registry, metrics_port),
        }
        with (
            _companions(made.companions),
            _common.on_stop_signal(runtime.stop),
            _said_when_ready(runtime, ready, as_json=as_json),
        ):
            runtime.run()
        if failures:
            raise failures[0]


@contextmanager
def _companions(companions: "Sequence[Companion]") -> Iterator[None]:
    """What runs beside the consumer: started before it, stopped after it, in reverse order."""
    try:
        for companion in companions:
            companion.start()
        yield
    finally:
        for companion in reversed(companions):
            companion.stop()


def _serve_metrics(registry: "CollectorRegistry", port: int | None) -> int | None:
    """Serve metrics beside the consumer; returns the port, the system's choice for 0."""
    if port is None:
        return None
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr="127.0.0.1", registry=registry)
    except OSError as error:
        raise Unavailable(f"metrics port {port}: {error.strerror}; choose another --metrics-port") from error
    return server.server_port


@contextmanager
def _said_when_ready(
    runtime: "ConsumerRuntime", ready: Mapping[str, object], *, as_json: bool
) -> Iterator[None]:
    """Print one line once the service reads its partitions; nothing if it ends before."""
    ended = threading.Event()

    def wait() -> None:
        while not ended.is_set():
            if runtime.wait_started(READY_POLL_S):
                if as_json:
                    _common.print_json(ready)
                else:
                    brokers, store = ready["bootstrap_servers"], ready["store"]
                    typer.echo(f"{ready['service']} is consuming from {brokers} into {store}")
                sys.stdout.flush()
                return

    waiter = threading.Thread(target=wait, name="ready", daemon=True)
    waiter.start()
    try:
        yield
    finally:
        ended.set()
        waiter.join()
