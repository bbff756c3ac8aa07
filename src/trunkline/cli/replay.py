"""`trunkline replay`: gives failed events to their service again. The same command as `failures replay`."""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common, _ledger
from trunkline.cli._audit_input import parse_moment
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._ledger import ServiceName, StoreUrl
from trunkline.cli._offline import context_on
from trunkline.errors import InvalidInput, TrunklineError, Unavailable

if TYPE_CHECKING:
    from trunkline.client.replay import Replayed
    from trunkline.client.store import Store
    from trunkline.client.store.failures import Filter, StillParked, Total
    from trunkline.services.app import Runnable

ATTEMPTS_MAX: Final = 10
"""After so many failures a row is in quarantine: another replay would most likely only take time."""

PROGRESS_SECONDS: Final = 2.0
INTERRUPTED: Final = 130

EXAMPLE: Final = """Give failed events to their service again, and to no other.

Name them by id, or choose by --reason, --tenant, --topic and --since, or take --all. What fails again stays
in the ledger with one more attempt, and the exit code is 1. Replaying twice has no second effect, and each
event has a transaction of its own: Ctrl-C loses nothing.

A parked tenant's events go strictly in their order; while one of them fails, those behind it are held back.

--dry-run runs the service's handler, too, in a transaction that is rolled back.

[bold]Example[/bold]

  trunkline replay --reason handler --since 2026-01-31 --dry-run
"""

app = _common.new_app(EXAMPLE)


@app.command(help=EXAMPLE)
def replay(
    *,
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID", help="From `failures list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every open failure of the service.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Those with this reason.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="Those of this tenant.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Those from this topic.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Those that first failed then or later.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest.")] = None,
    attempts_max: Annotated[
        int,
        typer.Option(
            "--max-attempts",
            min=0,
            help="Leave out what has failed so often, unless it is named by id; 0: leave out nothing.",
        ),
    ] = ATTEMPTS_MAX,
    rate: Annotated[float | None, typer.Option("--rate", help="At most so many events a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen.")] = False,
    service: ServiceName = _ledger.DEFAULT_SERVICE,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.pace import Pace
    from trunkline.client.replay import open_failures, rehearse, replaying
    from trunkline.client.store import failures, migrate
    from trunkline.services.kit.ending import ENDING, Ending

    moment = parse_moment("--since", since)
    matching = failures.Filter(
        reason=_known_reason(reason),
        tenant=tenant,
        topic=topic,
        since_ms=None if moment is None else int(moment.timestamp() * 1000),
        attempts_max=attempts_max or None,
    )
    chosen_by_filter = any((reason, tenant, topic, since))
    if bool(ids) == (everything or chosen_by_filter):
        raise InvalidInput("say which failures to replay: ids, --all, --reason, --tenant, --topic or --since")
    pace = None if rate is None else Pace(rate)
    made = _service(service)
    contract = _common.read_catalogue(None)
    with (
        _ledger.opened(service, data_dir, store) as opened,
        context_on(opened, service, data_dir=data_dir, catalogue=contract) as context,
    ):
        migrate(opened, ENDING)
        handler = Ending(context, made.build(context)).handler
        if handler is None:
            raise InvalidInput(f"{service} consumes nothing, so it has nothing to replay")
        wanted: Iterable[int] = sorted(set(ids or ()))
        if not ids:
            wanted = open_failures(opened, group=service, matching=matching, limit=limit)
        report = _Report(opened, service, None if ids else matching, all_of_it=limit is None, as_json=as_json)
        if dry_run:
            with _world_at_fault_told():
                results = rehearse(opened, handler, wanted)
            report.rehearsed(results)
        else:
            with _stopped_by_signal() as stopping, _world_at_fault_told():
                report.replayed(replaying(opened, handler, wanted, pace=pace, stopping=stopping))
            if stopping.is_set():
                raise typer.Exit(INTERRUPTED)
    report.complain()


class _Report:
    """What is told while events are replayed, and at the end."""

    def __init__(
        self, store: "Store", group: str, matching: "Filter | None", *, all_of_it: bool, as_json: bool
    ) -> None:
        self._store = store
        self._group = group
        self._matching = matching
        self._all_of_it = all_of_it
        self._still_parked: list[StillParked] = []
        self._as_json = as_json
        self._counts: Counter[str] = Counter()
        self._results: list[Replayed] = []

    def replayed(self, results: "Iterable[Replayed]") -> None:
        told = time.monotonic()
        for result in results:
            self._take(result)
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                _common.note(f"{self._counts.total():,} so far: {self._sentence()}")
        self._still_parked = self._left_behind()
        if self._as_json:
            shown = {"still_parked": self._still_parked, "results": self._results}
            _common.print_json({"dry_run": False, **self._figures(), **shown})
        else:
            typer.echo(self._sentence())

    def rehearsed(self, results: "Iterable[Replayed]") -> None:
        from trunkline.client.store import failures

        totals: list[Total] = []
        if self._matching is not None:
            with self._store.read() as tx:
                totals = failures.totals(tx, group=self._group, matching=self._matching)
        for result in results:
            self._take(result)
        if self._as_json:
            shown = {"dry_run": True, "matching": totals, **self._figures(), "results": self._results}
            _common.print_json(shown)
            return
        if totals:
            print_totals(totals)
        typer.echo(f"would be: {self._sentence()}")
        _common.note("the handler ran in a transaction that was rolled back; nothing has changed")
        matching = sum(total.failures for total in totals)
        if matching > self._counts.total():
            _common.note(f"tried {self._counts.total():,} of {matching:,}")

    def complain(self) -> None:
        """Raises `TrunklineError` if anything that was to be replayed is still open."""
        again, held = self._counts["failed_again"], self._counts["held_back"]
        if again or held:
            behind = f", {held} held back behind them" if held else ""
            raise TrunklineError(
                f"{again} of {self._counts.total()} failed again{behind}; `trunkline failures list` says why"
            )
        if self._still_parked:
            most = self._still_parked[0]
            number = sum(parked.failures for parked in self._still_parked)
            raise TrunklineError(
                f"still parked: {len(self._still_parked):,} of the tenants, with {number:,} open events that "
                f"came meanwhile, most of {most.tenantid} in {most.topic}; run it again, faster than they "
                "come: without --rate, or with the publishers or the service stopped"
            )

    def _left_behind(self) -> "list[StillParked]":
        from trunkline.client.replay import still_parked

        if self._matching is None or not self._all_of_it:
            return []
        return still_parked(self._store, group=self._group, matching=self._matching)

    def _take(self, result: "Replayed") -> None:
        self._counts[result.verdict] += 1
        if self._as_json:
            self._results.append(result)
        else:
            why = f": {result.refusal.reason}: {result.refusal.detail}" if result.refusal else ""
            typer.echo(f"{result.failure_id} {result.verdict}{why}")

    def _figures(self) -> dict[str, Any]:
        from trunkline.client.replay import Verdict

        counts: dict[str, Any] = {verdict: self._counts[verdict] for verdict in Verdict}
        return {**counts, "quarantined": self._quarantined()}

    def _sentence(self) -> str:
        figures = self._figures()
        told = [f"{number:,} {name.replace('_', ' ')}" for name, number in figures.items() if number]
        return ", ".join(told) or "nothing to replay"

    def _quarantined(self) -> int:
        from trunkline.client.store import failures

        if self._matching is None:
            return 0
        with self._store.read() as tx:
            return failures.quarantined(tx, group=self._group, matching=self._matching)


def print_totals(totals: "list[Total]") -> None:
    from trunkline.cli._tables import new_table, print_table

    counts = ("failures", "tenants", "attempts")
    table = new_table("status", "reason", "topic", *counts, "oldest", right=counts)
    for total in totals:
        numbers = (f"{total.failures:,}", f"{total.tenants:,}", f"{total.attempts:,}")
        table.add_row(total.status, total.reason, total.topic, *numbers, _ledger.shown_time(total.oldest_ms))
    print_table(table)


def _service(name: str) -> "Runnable":
    from trunkline.services import RUNNABLE, runnable

    if name not in RUNNABLE:
        raise InvalidInput(
            f"the handler of {name} is not part of Trunkline; call trunkline.client.replay where it is"
        )
    return runnable(name)


def _known_reason(reason: str | None) -> str | None:
    from trunkline.catalogue.model import unknown
    from trunkline.client.store.failures import REASONS

    if reason is not None and reason not in REASONS:
        raise unknown("reason", reason, REASONS)
    return reason


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    stopping = threading.Event()
    with _common.on_stop_signal(stopping.set):
        yield stopping


@contextmanager
def _world_at_fault_told() -> Iterator[None]:
    from trunkline.client.handler import RetryLater

    try:
        yield
    except RetryLater as error:
        raise Unavailable(
            f"stopped where the event was not at fault: {error}; what was replayed before has taken effect, "
            "run the same command again"
        ) from error
