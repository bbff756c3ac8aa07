"""`trunkline import`: real logs become events."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, CatalogueFile, DataDir
from trunkline.cli._connection import ClientProperties
from trunkline.errors import InvalidInput, TrunklineError, Unavailable

if TYPE_CHECKING:
    from rich.progress import Progress

    from trunkline.catalogue.events import Event
    from trunkline.catalogue.model import Catalogue
    from trunkline.client.config import ConnectionOptions
    from trunkline.client.delivery import Delivery
    from trunkline.client.publisher import Publisher
    from trunkline.codec import Envelope
    from trunkline.sources.bad import BadInput

CLIENT_ID: Final = "trunkline-import"
IN_FLIGHT_MAX: Final = 10_000
"""Events that wait for their acknowledgement while more are read."""
CLOSE_S: Final = 5.0
"""How long an import that ends early waits for what it has sent; one that ends well has waited already."""
COMPLAINTS_MAX: Final = 20
"""Bad inputs that are shown one by one; the others are only counted."""

CLOUDTRAIL_HELP: Final = """Import AWS CloudTrail logs: a file, or a directory of .json and .json.gz files.

Ids are derived from the records, so importing the same logs again changes nothing. Bad files and records are
named, skipped, and make the exit code 1.

[bold]Example[/bold]

  trunkline import cloudtrail ./AWSLogs --tenant acme
"""
CLOUDEVENTS_HELP: Final = """Import CloudEvents in JSON format, one a line.

Each is checked against the contract and published by its topic's publisher. Bad lines are named, skipped, and
make the exit code 1.

[bold]Example[/bold]

  trunkline import cloudevents events.jsonl --json
"""

OPENLINEAGE_HELP: Final = """Import OpenLineage run events: files of JSON lines, or directories of them.

Runs go to pipeline.job.events, the results of data quality assertions to data.quality.events. Ids are derived
from the runs, so importing the same files again changes nothing. Bad files and lines are named, skipped, and
make the exit code 1.

[bold]Example[/bold]

  trunkline import openlineage target/openlineage.jsonl --tenant acme
"""

LLM_TRACE_HELP: Final = """Import traces of language model inference, in the CSV form that Azure publishes.

Every row is billed as the tokens of one call, in the month in which it happened. Ids are derived from the
rows, so importing the same files again, shuffled or in parts changes nothing.

[bold]Example[/bold]

  trunkline import llm-trace AzureLLMInferenceTrace_conv.csv --tenant acme
"""
MLFLOW_HELP: Final = """Import an MLflow model registry from its database or server. Needs the extra mlflow.

Only what has changed since the last import into this data directory is published, also aliases and tags that
were moved or removed, and versions that were deleted.

[bold]Example[/bold]

  trunkline import mlflow sqlite:///mlflow.db --tenant acme
"""

app = _common.new_app("Turn real logs into events.", no_args_is_help=True)


class Summary(msgspec.Struct):
    """Of the records `read`, `bad` were skipped, `published` were sent, and `acknowledged` are on disk."""

    read: int = 0
    published: int = 0
    acknowledged: int = 0
    failed: int = 0
    bad: int = 0


@app.command(help=CLOUDTRAIL_HELP)
def cloudtrail(
    path: Annotated[Path, typer.Argument(help="A log file, or a directory that is searched for them.")],
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Whose events these are; by default the AWS account's.")
    ] = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.names import TENANT_PATTERN
    from trunkline.sources.cloudtrail import find_files, read_events

    if tenant is not None and not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"--tenant {tenant!r}: use up to 64 letters, digits, '.', '_' or '-'")
    items = read_events(find_files(path), tenant=tenant)
    to = _connection.connection(bootstrap_servers, client_id=CLIENT_ID, properties=client_properties)
    _import(items, to, catalogue=_common.read_catalogue(catalogue), tenant=tenant, as_json=as_json)


@app.command(help=CLOUDEVENTS_HELP)
def cloudevents(
    path: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="JSON lines.")],
    *,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.sources.cloudevents import read_events

    items = read_events(path)
    to = _connection.connection(bootstrap_servers, client_id=CLIENT_ID, properties=client_properties)
    _import(items, to, catalogue=_common.read_catalogue(catalogue), as_json=as_json)


@app.command(help=OPENLINEAGE_HELP)
def openlineage(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR…", help="Files, or directories that are searched.")
    ],
    *,
    tenant: Annotated[
        str, typer.Option(help="Whose runs these are; OpenLineage does not say.")
    ] = SYSTEM_TENANT,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.names import TENANT_PATTERN
    from trunkline.sources.openlineage import find_files, read_events

    if not TENANT_PATTERN.fullmatch(tenant):
        raise InvalidInput(f"--tenant {tenant!r}: use up to 64 letters, digits, '.', '_' or '-'")
    items = read_events(find_files(paths), tenant=tenant)
    to = _connection.connection(bootstrap_servers, client_id=CLIENT_ID, properties=client_properties)
    _import(items, to, catalogue=_common.read_catalogue(catalogue), tenant=tenant, as_json=as_json)


@app.command("llm-trace", help=LLM_TRACE_HELP)
def llm_trace(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE|DIR…", help="Files, or directories that are searched.")
    ],
    *,
    tenant: Annotated[str, typer.Option(help="Whose calls these are; a trace does not say.")] = "llm-trace",
    model: Annotated[str, typer.Option(help="Which model was called.")] = "unknown",
    provider: Annotated[str, typer.Option(help="Who served it.")] = "azure",
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.sources.llm_trace import find_files, new_origin, read_events

    origin = new_origin(tenant=tenant, model=model, provider=provider)
    items = read_events(find_files(paths), origin=origin)
    to = _connection.connection(bootstrap_servers, client_id=CLIENT_ID, properties=client_properties)
    _import(items, to, catalogue=_common.read_catalogue(catalogue), tenant=tenant, as_json=as_json)


@app.command(help=MLFLOW_HELP)
def mlflow(
    uri: Annotated[
        str, typer.Argument(metavar="URI", help="sqlite:///PATH, postgresql://…, http://HOST:PORT")
    ],
    *,
    tenant: Annotated[str, typer.Option(help="Whose models these are; MLflow does not say.")] = SYSTEM_TENANT,
    registry: Annotated[
        str, typer.Option(help="Tells registries of one tenant apart; part of the events' source and ids.")
    ] = "mlflow",
    all_gone: Annotated[
        bool, typer.Option("--all-gone", help="Every model of the last import was deleted, indeed.")
    ] = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.catalogue.names import TENANT_PATTERN
    from trunkline.cli._mlflow import Import, StateFile, quieten_mlflow

    for option, name in (("--tenant", tenant), ("--registry", registry)):
        if not TENANT_PATTERN.fullmatch(name):
            raise InvalidInput(f"{option} {name!r}: use up to 64 letters, digits, '.', '_' or '-'")
    quieten_mlflow()
    file = StateFile.of(data_dir, registry=registry, tenant=tenant)
    reading = Import(file, uri=uri, tenant=tenant, registry=registry, all_gone=all_gone)
    to = _connection.connection(bootstrap_servers, client_id=CLIENT_ID, properties=client_properties)
    contract = _common.read_catalogue(catalogue)
    _import(
        reading.items(), to, catalogue=contract, tenant=tenant, as_json=as_json, acknowledged=reading.done
    )


def _import(
    items: "Generator[Envelope[Event] | BadInput, None, None]",
    connection: "ConnectionOptions",
    *,
    catalogue: "Catalogue",
    tenant: str | None = None,
    as_json: bool,
    acknowledged: "Callable[[], None] | None" = None,
) -> None:
    """Publish everything; `acknowledged` is called when all that could be published is in the log.

    `tenant` is whose events they all are, where they are one tenant's.
    """
    from trunkline.cli._logging import log_to_stderr

    log_to_stderr(as_json=as_json)
    from trunkline.client.delivery import Delivered
    from trunkline.client.errors import TopicMissing

    summary = Summary()
    waiting: deque[Delivery] = deque()
    stopped: KeyboardInterrupt | Unavailable | TopicMissing | None = None
    publishers = Publishers(connection, catalogue)
    try:
        with closing(items), _progress() as progress:
            _feed(items, publishers, waiting, summary=summary, progress=progress)
    except (KeyboardInterrupt, Unavailable, TopicMissing) as error:
        if not summary.published:
            raise
        stopped = error
    finally:
        publishers.close(CLOSE_S)
    summary.acknowledged += sum(isinstance(delivery.outcome, Delivered) for delivery in waiting)
    _show(summary, tenant=tenant, as_json=as_json)
    if stopped is not None:
        _common.note("stopped early; import again: what is in the log already does not count twice")
        raise stopped
    if acknowledged is not None and not summary.failed:
        acknowledged()
    if summary.bad or summary.failed:
        raise typer.Exit(1)


def _feed(
    items: "Iterable[Envelope[Event] | BadInput]",
    publishers: "Publishers",
    waiting: "deque[Delivery]",
    *,
    summary: Summary,
    progress: "Progress",
) -> None:
    """Publish everything and wait for it. Raises `Unavailable` once an event's outcome stays unknown."""
    task = progress.add_task("importing", total=None)
    for item in items:
        summary.read += 1
        _publish(item, publishers, waiting, summary=summary)
        while len(waiting) > IN_FLIGHT_MAX or (waiting and waiting[0].outcome is not None):
            _settle(waiting.popleft(), summary)
        progress.update(task, completed=summary.acknowledged, total=summary.read - summary.bad)
    while waiting:
        _settle(waiting.popleft(), summary)
        progress.update(task, completed=summary.acknowledged, total=summary.read - summary.bad)


def _show(summary: Summary, *, tenant: str | None, as_json: bool) -> None:
    if as_json:
        _common.print_json(summary)
    else:
        whose = "" if tenant is None else f", for tenant {tenant}"
        typer.echo(
            f"{summary.read} read, {summary.published} published, {summary.acknowledged} acknowledged, "
            f"{summary.failed} failed, {summary.bad} bad{whose}"
        )


class Publishers:
    """One publisher for each service that turns out to be needed."""

    def __init__(self, connection: "ConnectionOptions", catalogue: "Catalogue") -> None:
        self._connection = connection
        self._catalogue = catalogue
        self._open: dict[str, Publisher] = {}

    def of(self, event: "Event") -> "Publisher":
        """The publisher of the event's topic.

        Raises `ClusterUnavailable` when no broker answers, and `TopicMissing` when it has not the topics.
        """
        from trunkline.catalogue.events import declaration_of
        from trunkline.client.admin import require_topics
        from trunkline.client.publisher import Publisher

        service = self._catalogue.topic(declaration_of(event).topic).publisher
        if service not in self._open:
            require_topics(self._connection, [topic.name for topic in self._catalogue.published_by(service)])
            self._open[service] = Publisher(
                service=service, connection=self._connection, catalogue=self._catalogue
            )
        return self._open[service]

    def close(self, timeout: float) -> None:
        """Close all of them; each waits up to `timeout` seconds for what is under way."""
        for publisher in self._open.values():
            publisher.close(timeout)


def _publish(
    item: "Envelope[Event] | BadInput",
    publishers: Publishers,
    waiting: "deque[Delivery]",
    *,
    summary: Summary,
) -> None:
    from trunkline.client.errors import PublishRefused
    from trunkline.sources.bad import BadInput

    if isinstance(item, BadInput):
        summary.bad += 1
        _complain(str(item), summary)
        return
    try:
        waiting.append(publishers.of(item.data).publish_envelope(item))
    except PublishRefused as error:
        summary.failed += 1
        _complain(str(error), summary)
    else:
        summary.published += 1


def _settle(delivery: "Delivery", summary: Summary) -> None:
    try:
        delivery.result()
    except Unavailable:
        # Of this one nobody knows, and those behind it would each wait as long as it did.
        raise
    except TrunklineError as error:
        summary.failed += 1
        _complain(str(error), summary)
    else:
        summary.acknowledged += 1


def _complain(message: str, summary: Summary) -> None:
    shown = summary.bad + summary.failed
    if shown <= COMPLAINTS_MAX:
        _common.note(message)
    elif shown == COMPLAINTS_MAX + 1:
        _common.note("more of the same kind is only counted")


def _progress() -> "Progress":
    """A progress bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, disable=not console.is_terminal, transient=True)
