"""How `trunkline audit` shows its answers to people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from trunkline.cli import _common

if TYPE_CHECKING:
    from trunkline.services.audit.queries import EntryView, Page
    from trunkline.services.audit.verify import Report

COLUMNS: Final = ("time", "tenant", "seq", "actor", "action", "resource", "outcome", "id")


def show_page(page: "Page") -> None:
    """The entries found, and how to see more: a table on a terminal, else tab-separated columns."""
    from rich.table import Table

    rows = [_row(entry) for entry in page.entries]
    console = _common.console()
    if not rows:
        _common.note("nothing found")
    elif console.is_terminal:
        table = Table(*COLUMNS, box=None)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    else:
        for row in rows:
            typer.echo("\t".join(row))
    if page.next is not None:
        _common.note(f"more: --after {page.next}")


def _row(entry: "EntryView") -> tuple[str, ...]:
    resource = " ".join(part for part in (entry.resource_type, entry.resource_id) if part)
    return (
        f"{entry.time:%Y-%m-%dT%H:%M:%SZ}",
        entry.tenant,
        str(entry.seq),
        entry.actor_id or "-",
        entry.action or entry.type,
        resource or "-",
        entry.outcome or "-",
        entry.id,
    )


def show_report(report: "Report") -> None:
    """One line a finding, one line a ledger, and the verdict."""
    for finding in report.findings:
        place = f" entry {finding.seq}" if finding.seq is not None else ""
        event = f" (event {finding.event_id})" if finding.event_id is not None else ""
        typer.echo(f"tenant {finding.tenant}{place}{event}: {finding.problem}: {finding.detail}")
    if report.finding_count > len(report.findings):
        typer.echo(f"and {report.finding_count - len(report.findings)} more")
    for ledger in report.tenants:
        typer.echo(
            f"tenant {ledger.tenant}: {ledger.entries} entries, {ledger.covered} of them under "
            f"{ledger.checkpoints} checkpoints"
        )
    rate = report.entries / report.seconds if report.seconds else 0
    verdict = "ok" if report.ok else f"NOT OK, {report.finding_count} findings"
    typer.echo(f"{verdict}: {report.entries} entries verified in {report.seconds:.2f} s ({rate:,.0f}/s)")


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(what + " {task.completed:,} entries"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(what, total=None)

        def advance(entries: int) -> None:
            progress.advance(task, entries)

        yield advance
