"""`trunkline doctor`: how a service, with its real configuration, stands to its cluster and its store."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile, DataDir
from trunkline.cli._connection import ClientProperties
from trunkline.errors import Unavailable

if TYPE_CHECKING:
    from trunkline.operate.doctor.findings import Finding

SICK: Final = 1
"""The exit code where something failed; warnings are none."""

COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "red"}

EXAMPLE: Final = """Examine how a service, with its real configuration, stands to its cluster and its store.

Takes the options and variables of `trunkline service` and looks: name resolution and connection, TLS and
certificates, credentials, brokers and the addresses they give out, versions, each right of the service, its
topics against the contract, clocks, its consumer group, its database and keys. One line a check says ok,
warning, failed, not checked or not used, why, and what to do. It joins no group and writes nothing.

Without SERVICE only the cluster is examined. The exit code is 1 where something failed, and 0 otherwise.

[bold]Example[/bold]

  trunkline doctor audit-service --bootstrap-servers 127.0.0.1:9092
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def doctor(
    service: Annotated[str | None, typer.Argument(help="The service's name in the catalogue.")] = None,
    *,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", envvar="TRUNKLINE_STORE", metavar="URL", help="The service's database, if not in DIR."
        ),
    ] = None,
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
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    try:
        from trunkline.operate.doctor.findings import Verdict, tally
        from trunkline.operate.doctor.run import examine
        from trunkline.operate.doctor.store import Stores
        from trunkline.operate.doctor.visit import Patient
    except ImportError as error:
        raise Unavailable(f"{error}; certificates and stores need pip install trunkline[services]") from error

    patient = Patient(
        catalogue=_common.read_catalogue(catalogue),
        environment=environment,
        connection=_connection.connection(
            bootstrap_servers, client_id=service or "trunkline-doctor", properties=client_properties
        ),
        service=service,
        stores=None
        if service is None
        else Stores(
            store_url=store or _common.service_store_url(data_dir, service),
            keys_url=keys or _common.service_keys_url(data_dir, service),
            master_key=_common.master_key_path(data_dir),
        ),
    )
    found = []
    for finding in examine(patient):
        found.append(finding)
        if not as_json:
            _print(finding)
    counts = tally(found)
    if as_json:
        _common.print_json(
            {
                "service": service,
                "environment": environment,
                "bootstrap_servers": bootstrap_servers,
                "counts": {verdict.value: number for verdict, number in counts.items()},
                "findings": found,
            }
        )
    else:
        typer.echo(
            ", ".join(f"{number} {verdict.replace('-', ' ')}" for verdict, number in counts.items() if number)
        )
    if counts[Verdict.FAILED]:
        raise typer.Exit(SICK)


def _print(finding: "Finding") -> None:
    """One line; on a terminal the verdict has its colour."""
    verdict = typer.style(f"{finding.verdict.replace('-', ' '):<11}", fg=COLOURS.get(finding.verdict.value))
    typer.echo(f"{verdict}  {finding.family:<12}  {' '.join(finding.sentence.split())}")
