"""`trunkline service`: one service of the platform against any Kafka."""

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _certificate, _common, _connection, _health
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile, DataDir
from trunkline.cli._connection import ClientProperties
from trunkline.client.breaker import FAILURES_IN_A_ROW_MAX
from trunkline.client.config import GroupProtocol
from trunkline.errors import Unavailable

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trunkline.services.kit.api.server import ApiServer
    from trunkline.services.running import ServiceProcess

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
        str | None,
        typer.Option(
            "--store",
            envvar="TRUNKLINE_STORE",
            metavar="URL",
            help="The service's database, if not in DIR. A password is for the environment: whoever lists "
            "processes sees the flags.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", min=0, max=65_535, help="Serve Prometheus metrics on this port."),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option("--health-port", min=0, max=65_535, help="Serve /livez and /readyz on this port."),
    ] = None,
    api_port: Annotated[
        int | None,
        typer.Option("--api-port", min=0, max=65_535, help="Serve the HTTP query API on this port."),
    ] = None,
    token_key: Annotated[
        Path | None,
        typer.Option(
            "--token-key",
            metavar="FILE",
            help="The public key of the API's tokens; without it the one in DIR, as `trunkline token` uses.",
        ),
    ] = None,
    listen_address: Annotated[
        str, typer.Option("--listen-address", metavar="HOST", help="Where these ports are.")
    ] = "127.0.0.1",
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            envvar="TRUNKLINE_KEYS",
            metavar="URL",
            help="The database of the tenants' keys, if not in DIR.",
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="The environment of the catalogue that this is.")
    ] = "development",
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
    from trunkline.cli._logging import keeping_a_log
    from trunkline.client.config import ConsumerOptions
    from trunkline.services import runnable
    from trunkline.services.running import ServiceProcess, Setup

    with keeping_a_log(as_json=as_json) as lines:
        if start_seconds:
            lines.hold(max(start_seconds, START_SECONDS) + DECIDED_SECONDS)
        contract = _common.read_catalogue(catalogue)
        contract.service(name)
        setup = Setup(
            name=name,
            instance=instance_id or f"{socket.gethostname()}-{os.getpid()}",
            runnable=runnable(name),
            catalogue=contract,
            environment=contract.environment(environment),
            connection=_connection.connection(
                bootstrap_servers, client_id=name, properties=client_properties
            ),
            store_url=store or _common.service_store_url(data_dir, name),
            data_dir=data_dir,
            keys_url=keys or _common.service_keys_url(data_dir, name),
            master_key=_common.master_key_path(data_dir),
            kept_config=_common.kept_config_path(data_dir, name),
            options=ConsumerOptions(group=name, protocol=group_protocol, instance_id=instance_id),
            failures_in_a_row_max=failures_in_a_row,
            park_tenants=park_tenants,
            start_seconds=start_seconds or None,
            stop_seconds=stop_seconds,
        )
        _certificate.tell_expiry(setup.registry, setup.connection.security)
        with ServiceProcess(setup) as process:
            api = _api(process, api_port, listen_address, token_key or _api_key(data_dir))
            with (
                _health.serving(
                    health_port, host=listen_address, live=process.not_live, ready=process.not_ready
                ) as serving_health,
                _common.on_stop_signal(process.stop),
                _said_when_ready(
                    process,
                    {
                        "service": name,
                        "bootstrap_servers": bootstrap_servers,
                        "store": process.store.url,
                        "metrics_port": _serve_metrics(setup.registry, metrics_port, listen_address),
                        "health_port": serving_health,
                        "api_port": None if api is None else api.port,
                    },
                    as_json=as_json,
                    decided=lines.release,
                ),
            ):
                process.run([] if api is None else [api])


def _api_key(data_dir: Path) -> Path:
    """The public key that this machine's tokens are checked with; made with the private one on first use."""
    from trunkline.services.kit.api.tokens import load_or_create_key, public_path

    private = _common.token_key_path(data_dir)
    load_or_create_key(private)
    return public_path(private)


def _api(process: "ServiceProcess", port: int | None, host: str, key: Path) -> "ApiServer | None":
    """The service's HTTP API, where one was asked for and the service has one."""
    if port is None:
        return None
    if process.app.router is None:
        return None
    from trunkline.services.kit.api.metrics import ApiMetrics
    from trunkline.services.kit.api.server import ApiServer, new_api
    from trunkline.services.kit.api.tokens import load_verifier

    setup = process.setup
    title = setup.catalogue.service(setup.name).title
    app = new_api(
        setup.name,
        [process.app.router()],
        store=process.store,
        verifier=load_verifier(key),
        title=title,
        metrics=ApiMetrics(setup.registry),
    )
    return ApiServer(
        app,
        host=host,
        port=port,
        on_failure=lambda error: process.fail(Unavailable(f"the API of {setup.name} failed: {error!r}")),
    )


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
    process: "ServiceProcess", ready: Mapping[str, object], *, as_json: bool, decided: Callable[[], None]
) -> Iterator[None]:
    """Call `decided` and print one line once the service reads its partitions; nothing if it ends before."""
    ended = threading.Event()

    def wait() -> None:
        while not ended.is_set():
            if process.wait_started(READY_POLL_S):
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
