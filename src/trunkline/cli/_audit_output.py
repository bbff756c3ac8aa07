"""How `trunkline audit` shows its answers to people."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from trunkline.cli import _common

if TYPE_CHECKING:
    from trunkline.services.audit.queries import Page
    from trunkline.services.audit.verify import Report


def show_page(page: "Page") -> None:
    """A table of entries, and how to see more."""
    from rich.table import Table

    table = Table("time", "tenant", "seq", "actor", "action", "resource", "outcome", "id", box=None)
    for entry in page.entries:
        resource = " ".join(part for part in (entry.resource_type, entry.resource_id) if part)
        table.add_row(
            f"{entry.time:%Y-%m-%d %H:%M:%S}",
            entry.tenant,
            str(entry.seq),
            entry.actor_id or "-",
            entry.action or entry.type,
            resource or "-",
            entry.outcome or "-",
            entry.id,
        )
    console = _common.console()
    if page.entries:
        console.print(table)
    else:
        _common.note("nothing found")
    if page.next is not None:
        _common.note(f"more: --after {page.next}")


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
