"""`trunkline service`: one service of the platform against any Kafka."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection, _health
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile, DataDir
from trunkline.cli._connection import ClientProperties
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX
from trunkline.client.config import GroupProtocol
from trunkline.errors import TrunklineError, Unavailable

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trunkline.client.runtime import ConsumerRuntime
    from trunkline.services.app import Companion

READY_POLL_S: Final = 0.2
START_SECONDS: Final = 10.0
DECIDED_SECONDS: Final = 5.0
"""So long behind the time to start every mistake in the settings has been found; what the log has to say
until then is held back. A service that waits for ever for its cluster says at once what it waits for."""

STOP_SECONDS: Final = 25.0
"""Below the 30 s that Kubernetes gives a pod to end."""

EXAMPLE: Final = """Run one service until Ctrl-C or SIGTERM.

It consumes the topics that the catalogue gives it into a store of its own, and goes on where it was. A broker
that goes away later is waited for; one that never answered ends the service.

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
        typer.Option("--metrics-port", min=0, max=65_535, help="Serve Prometheus metrics on this port."),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option("--health-port", min=0, max=65_535, help="Serve /livez and /readyz on this port."),
    ] = None,
    listen_address: Annotated[
        str, typer.Option("--listen-address", metavar="HOST", help="Where these two ports are.")
    ] = "127.0.0.1",
    failures_in_a_row: Annotated[
        int,
        typer.Option(
            "--failures-in-a-row",
            min=0,
            help="Stop when so many events in a row fail; 0: never, they all go to the failure ledger.",
        ),
    ] = FAILURES_IN_A_ROW_MAX,
    park_tenants: Annotated[
        bool,
        typer.Option(
            "--park-tenants",
            help="After a failed event keep the tenant's later events of that topic behind it, in the "
            "failure ledger, until they are replayed or discarded.",
        ),
    ] = False,
    group_protocol: Annotated[
        GroupProtocol,
        typer.Option("--group-protocol", help="consumer is KIP-848: Apache Kafka 4.0 or newer."),
    ] = GroupProtocol.CLASSIC,
    instance_id: Annotated[
        str | None,
        typer.Option(
            "--instance-id",
            envvar="TRUNKLINE_INSTANCE_ID",
            metavar="ID",
            help="Static membership: this member's own id, the same after a restart. It is also its name in "
            "`trunkline config instances`, which is HOST-PID otherwise.",
        ),
    ] = None,
    start_seconds: Annotated[
        float,
        typer.Option(
            "--start-seconds", min=0, help="Give up when no broker has answered by then; 0: never give up."
        ),
    ] = START_SECONDS,
    stop_seconds: Annotated[
        float,
        typer.Option("--stop-seconds", min=0.1, help="How long the batch in hand may take when stopping."),
    ] = STOP_SECONDS,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from prometheus_client import CollectorRegistry

    from trunkline.cli._logging import keeping_a_log
    from trunkline.client.broadcast.instance import Broadcast
    from trunkline.client.broadcast.options import BroadcastOptions
    from trunkline.client.config import ConsumerOptions
    from trunkline.client.runtime import ConsumerRuntime
    from trunkline.client.store import migrate, open_store
    from trunkline.services import runnable

    with keeping_a_log(as_json=as_json) as lines:
        if start_seconds:
            lines.hold(max(start_seconds, START_SECONDS) + DECIDED_SECONDS)
        contract = _common.read_catalogue(catalogue)
        topics = [topic.name for topic in contract.consumed_by(name)]
        chosen = runnable(name)
        connection = _connection.connection(bootstrap_servers, client_id=name, properties=client_properties)
        options = ConsumerOptions(group=name, protocol=group_protocol, instance_id=instance_id)
        with closing(open_store(store or _common.service_store_url(data_dir, name))) as opened:
            migrate(opened)
            migrate(opened, chosen.component)
            failures: list[TrunklineError] = []

            def fail(error: TrunklineError) -> None:
                failures.append(error)
                runtime.stop()

            made = chosen.build(opened, data_dir, on_failure=fail)
            registry = CollectorRegistry()
            broadcast = Broadcast(
                service=name,
                instance=instance_id or f"{socket.gethostname()}-{os.getpid()}",
                connection=connection,
                catalogue=contract,
                options=BroadcastOptions(last_known_good=data_dir / "services" / f"{name}.config.json"),
                registry=registry,
            )

            def not_ready() -> list[str]:
                stale = broadcast.unready_reason
                return [*runtime.not_ready(), *([stale] if stale else [])]

            runtime = ConsumerRuntime(
                service=name,
                topics=topics,
                handler=made.handler,
                store=opened,
                connection=connection,
                options=options,
                registry=registry,
                failures_in_a_row_max=failures_in_a_row,
                park_tenants=park_tenants,
                start_seconds=start_seconds or None,
                stop_seconds=stop_seconds,
            )
            with (
                _health.serving(
                    health_port, host=listen_address, live=runtime.not_live, ready=not_ready
                ) as serving_health,
                _companions([*made.companions, broadcast]),
                _common.on_stop_signal(runtime.stop),
                _said_when_ready(
                    runtime,
                    {
                        "service": name,
                        "bootstrap_servers": bootstrap_servers,
                        "store": opened.url,
                        "metrics_port": _serve_metrics(registry, metrics_port, listen_address),
                        "health_port": serving_health,
                    },
                    as_json=as_json,
                    decided=lines.release,
                ),
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


def _serve_metrics(registry: "CollectorRegistry", port: int | None, host: str) -> int | None:
    """Serve metrics beside the consumer; returns the port, the system's choice for 0."""
    if port is None:
        return None
    from prometheus_client import start_http_server

    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise Unavailable(f"metrics port {port}: {error.strerror}; choose another --metrics-port") from error
    return server.server_port


@contextmanager
def _said_when_ready(
    runtime: "ConsumerRuntime", ready: Mapping[str, object], *, as_json: bool, decided: Callable[[], None]
) -> Iterator[None]:
    """Call `decided` and print one line once the service reads its partitions; nothing if it ends before."""
    ended = threading.Event()

    def wait() -> None:
        while not ended.is_set():
            if runtime.wait_started(READY_POLL_S):
                decided()
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
