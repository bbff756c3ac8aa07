"""`trunkline exporter`: the cluster's and the groups' metrics for Prometheus."""

import threading
from contextlib import closing
from typing import Annotated, Final

import typer

from trunkline.cli import _certificate, _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile
from trunkline.cli._connection import ClientProperties
from trunkline.errors import Unavailable

PORT: Final = 9308
"""The port of kafka_exporter, whose metrics these are."""

EXAMPLE: Final = """Serve metrics of the cluster and of every consumer group for Prometheus.

The names are those of kafka_exporter, which Strimzi's dashboards use, and the lag in seconds beside them. One
for a cluster is enough. It looks at the cluster when it is scraped, and once at its start; while the cluster
is away, trunkline_exporter_up is 0. /metrics is the path.

[bold]Example[/bold]

  trunkline exporter --bootstrap-servers 127.0.0.1:9092 --port 9308
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def exporter(
    *,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    host: Annotated[
        str, typer.Option("--host", help="The address to serve on; 0.0.0.0 for all of this machine.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0: one that is free.")] = PORT,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from trunkline.cli._logging import keeping_a_log
    from trunkline.client.exporter import ClusterCollector

    with keeping_a_log(as_json=as_json):
        contract = _common.read_catalogue(catalogue)
        connection = _connection.connection(
            bootstrap_servers, client_id="trunkline-exporter", properties=client_properties
        )
        stopping = threading.Event()
        registry = CollectorRegistry()
        _certificate.tell_expiry(registry, connection.security)
        with closing(ClusterCollector(connection, contract)) as collector:
            registry.register(collector)
            try:
                server, thread = start_http_server(port, addr=host, registry=registry)
            except OSError as error:
                raise Unavailable(
                    f"{host}:{port}: {error.strerror}; choose another --host or --port"
                ) from error
            url = f"http://{host}:{server.server_port}/metrics"
            try:
                with _common.on_stop_signal(stopping.set):
                    _say(url, bootstrap_servers, as_json=as_json)
                    # Warns of a cluster that does not answer, which Prometheus would tell much later.
                    collector.collect()
                    _common.wait(stopping)
            finally:
                server.shutdown()
                server.server_close()
                thread.join()


def _say(url: str, bootstrap_servers: str, *, as_json: bool) -> None:
    if as_json:
        _common.print_json({"url": url, "bootstrap_servers": bootstrap_servers})
    else:
        typer.echo(f"metrics of {bootstrap_servers} at {url}")
