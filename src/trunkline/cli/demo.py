"""`trunkline demo`: real events through all ten topics, then the books are balanced."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, CatalogueFile, Sabotage
from trunkline.errors import InvalidInput, TrunklineError

if TYPE_CHECKING:
    from trunkline.catalogue.model import Catalogue
    from trunkline.cli._given import GivenCluster
    from trunkline.cli._observe import Ledger
    from trunkline.cli._people import People
    from trunkline.cli._stack import Stack
    from trunkline.sources.workload import Produced
    from trunkline.testing.checker import Claim

FLUSH_SECONDS_MAX: Final = 30.0
DRAIN_SECONDS_MAX: Final = 120.0
CALM_LOOKS: Final = 10
"""So many looks in a row, each after 50 ms, that find nothing to do."""

TENANTS: Final = 12
OWN_ENVIRONMENT: Final = "development"

HELP: Final = """Run all thirteen services on a temporary broker, feed them for a while, balance their books.

Query events report queries that DuckDB really executes on TPC-H data; --cloudtrail adds real access logs; the
other lifecycles are generated. Meanwhile people sign up, set, query and are governed through the services'
HTTP APIs. Published = acknowledged = in the log = in the audit ledger, in each tenant's order, nothing twice,
and every service has come to what SQL over the log comes to: exit 1 if any of these claims fails.

With --bootstrap-servers and --secrets the same happens on a cluster that is there and empty, secured as the
environment says and set up by `trunkline apply`: each service comes with its own credentials, and the books
are read with those of services that may read them.

[bold]Example[/bold]

  trunkline demo --seconds 20 --json
  trunkline demo --bootstrap-servers kafka:9093 --secrets ./secrets --environment production
"""

app = _common.new_app(HELP)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """The outcome of one run. `events` were fed by the demo; the rest of the log is what services said.

    `start_seconds` is how long it took until every service read its partitions, and the broker if there is
    one of the demo's own.
    """

    ok: bool
    seconds: float
    start_seconds: float
    events: int
    tenants: int
    in_log_by_topic: dict[str, int]
    drain_seconds: float
    claims: "tuple[Claim, ...]"


@app.command(help=HELP)
def demo(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long to feed.")] = 20,
    rate: Annotated[float, typer.Option(min=1, max=20_000, help="Events a second.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed generates the same events.")] = 1,
    cloudtrail: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="AWS CloudTrail logs to mix in: a file or a directory."),
    ] = None,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(
            "--bootstrap-servers", "-b", metavar="HOST:PORT,…", help="A cluster that is there and empty."
        ),
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(
            "--secrets",
            metavar="DIR",
            help="Its users' Secrets: a directory for each as Strimzi writes them, such as "
            "audit-service/user.crt and CLUSTER-cluster-ca-cert/ca.crt.",
        ),
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", "-e", help="The environment of the catalogue that it is.")
    ] = OWN_ENVIRONMENT,
    catalogue: CatalogueFile = None,
    as_json: AsJson = False,
    sabotage: Annotated[Sabotage | None, typer.Option(hidden=True)] = None,
) -> None:
    from trunkline.cli._balance import balance, damage
    from trunkline.cli._stack import Machine, Stack

    contract = _common.read_catalogue(catalogue)
    given = _given(contract, bootstrap_servers, secrets, environment)
    events = _input(contract, seed, cloudtrail)
    with tempfile.TemporaryDirectory(prefix="trunkline-demo-") as directory:
        data_dir = Path(directory)
        machine = Machine(
            data_dir=data_dir,
            catalogue=contract,
            catalogue_file=catalogue,
            host="127.0.0.1",
            port=0,
            given=given,
        )
        began = time.monotonic()
        with Stack(machine, say=_common.note) as stack:
            started = time.monotonic() - began
            people = _people(stack, data_dir)
            people.arrive()
            ledger = _feed(stack, contract, events, seconds=seconds, rate=rate)
            _common.note("people use the services")
            people.work()
            people.leave()
            began = time.monotonic()
            _drain(stack, contract, data_dir)
            drained = time.monotonic() - began
            if sabotage is not None:
                damage(sabotage, stack.connection_of, contract, ledger=ledger, data_dir=data_dir)
            books = balance(stack.reading, contract, ledger=ledger, data_dir=data_dir)
    claims = (*books.claims, *people.claims)
    sent = ledger.sent()
    report = DemoReport(
        ok=all(claim.holds for claim in claims),
        seconds=seconds,
        start_seconds=round(started, 3),
        events=len(sent),
        tenants=len({event.identity.tenant for event in sent}),
        in_log_by_topic={name: books.by_topic[name] for name in contract.topics},
        drain_seconds=round(drained, 3),
        claims=claims,
    )
    _print(report, as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def _given(
    catalogue: "Catalogue", servers: str | None, secrets: Path | None, environment: str
) -> "GivenCluster | None":
    """The cluster that is there, if one is given: reachable for every service, set up, and empty."""
    if servers is None and secrets is None:
        if environment != OWN_ENVIRONMENT:
            raise InvalidInput(
                f"--environment {environment} goes with --bootstrap-servers and --secrets; the demo's "
                f"own broker is {OWN_ENVIRONMENT}"
            )
        return None
    if servers is None or secrets is None:
        raise InvalidInput("--bootstrap-servers and --secrets go together: each service has credentials")
    from trunkline.cli._given import GivenCluster, require_empty

    given = GivenCluster(
        bootstrap_servers=servers,
        secrets=secrets,
        environment=environment,
        cluster=catalogue.cluster(environment),
    )
    require_empty(given, catalogue)
    return given


def _input(catalogue: "Catalogue", seed: int, cloudtrail: Path | None) -> "Iterator[Produced]":
    """The workload, with a record of the logs after each of its events for as long as there are any."""
    from trunkline.catalogue.names import TenantId
    from trunkline.cli._feed import said_by_others
    from trunkline.sources.cloudtrail import find_files
    from trunkline.sources.workload import measure_queries, workload

    files = [] if cloudtrail is None else find_files(cloudtrail)
    _common.note("measuring real queries: TPC-H on DuckDB")
    tenants = [TenantId(f"tenant-{number:02}") for number in range(1, TENANTS + 1)]
    queries = measure_queries()
    generated = workload(seed, tenants, clock=lambda: datetime.now(UTC), queries=queries, catalogue=catalogue)
    return _alternate(said_by_others(generated), _logged(files, catalogue))


def _people(stack: "Stack", data_dir: Path) -> "People":
    from trunkline.cli._desks import Desks, waiting
    from trunkline.cli._people import People
    from trunkline.services.kit.api.tokens import load_or_create_key

    key = load_or_create_key(_common.token_key_path(data_dir))
    return People(Desks(stack.api_ports, key), wait=waiting(stack.watch))


def _logged(files: "list[Path]", catalogue: "Catalogue") -> "Iterator[Produced]":
    from trunkline.catalogue.events import declaration_of
    from trunkline.sources.bad import BadInput
    from trunkline.sources.cloudtrail import read_events
    from trunkline.sources.workload import Produced

    for item in read_events(files):
        if isinstance(item, BadInput):
            _common.note(f"skipped: {item}")
            continue
        topic = catalogue.topic(declaration_of(item.data).topic)
        yield Produced(topic.publisher, topic.name, item)


def _alternate(endless: "Iterator[Produced]", bounded: "Iterator[Produced]") -> "Iterator[Produced]":
    for produced in endless:
        yield produced
        yield from islice(bounded, 1)


def _feed(
    stack: "Stack", catalogue: "Catalogue", events: "Iterator[Produced]", *, seconds: float, rate: float
) -> "Ledger":
    """Publish for so long, and wait for every outcome."""
    from trunkline.cli._feed import Feed, open_publishers
    from trunkline.cli._observe import Ledger

    ledger, failed = Ledger(), list[TrunklineError]()
    with open_publishers(catalogue, stack.connection_of) as publishers:
        feed = Feed(events, publishers, ledger, rate=rate, on_error=failed.append)
        _common.note(f"publishing {rate:g} events/s for {seconds:g} s to Kafka at {stack.bootstrap_servers}")
        feed.start()
        stack.wait(lambda: bool(failed), seconds=seconds)
        feed.stop()
        for publisher in publishers.values():
            publisher.flush(FLUSH_SECONDS_MAX)
    if failed:
        raise failed[0]
    return ledger


def _drain(stack: "Stack", catalogue: "Catalogue", data_dir: Path) -> None:
    """Wait until the services have read everything, and have published what follows from it.

    A service that does not is a broken claim later on.
    """
    from trunkline.cli._observe import unpublished
    from trunkline.client.admin import group_lag

    _common.note("draining")
    calm = 0

    def drained() -> bool:
        nonlocal calm
        behind = any(
            lag.lag
            for service in stack.services
            if catalogue.shared_by(service)
            for lag in group_lag(stack.connection_of(service), catalogue, service)
        )
        # What is published is read again by others: it is over when nothing has moved for a while.
        calm = 0 if behind or unpublished(data_dir, stack.services) else calm + 1
        return calm >= CALM_LOOKS

    stack.wait(drained, seconds=DRAIN_SECONDS_MAX)


def _print(report: DemoReport, *, as_json: bool) -> None:
    if as_json:
        _common.print_json(report)
        return
    from rich.table import Table

    topics = Table(title=f"{report.events:,} events of {report.tenants} tenants", title_justify="left")
    topics.add_column("topic")
    topics.add_column("in the log", justify="right")
    for topic, number in report.in_log_by_topic.items():
        topics.add_row(topic, f"{number:,}")
    claims = Table(title="Claims", title_justify="left")
    for heading in ("", "claim", "found"):
        claims.add_column(heading)
    for claim in report.claims:
        culprits = "".join(f"\n{example}" for example in claim.examples)
        claims.add_row("holds" if claim.holds else "BROKEN", claim.name, f"{claim.detail}{culprits}")
    console = _common.console()
    console.print(topics)
    console.print(claims)
