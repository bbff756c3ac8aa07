"""How `trunkline audit` shows its answers to people."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from trunkline.cli import _common

if TYPE_CHECKING:
    from trunkline.services.audit.queries import EntryView, Page
    from trunkline.services.audit.verify import Report

COLUMNS: Final = ("time", "tenant", "seq", "actor", "action", "resource", "outcome", "id")
FITTING: Final = ((170, COLUMNS), (110, COLUMNS[:-1]), (0, ("time", "tenant", "actor", "action", "outcome")))
"""From how many characters of a terminal on which columns are shown: a row is one line."""
CUT: Final = ("tenant", "actor", "action", "resource")
"""Columns of any length, cut in front where they must be: the end of an ARN says more than its start."""
GAP: Final = "  "


def show_page(page: "Page") -> None:
    """The entries found, and how to see more: a table on a terminal, else tab-separated columns."""
    rows = [_row(entry) for entry in page.entries]
    console = _common.console()
    if not rows:
        _common.note("nothing found")
    elif console.is_terminal:
        for line in table_lines(rows, width=console.width):
            typer.echo(line)
    else:
        for row in rows:
            typer.echo("\t".join(row.values()))
    if page.next is not None:
        _common.note(f"more: --after {page.next}")


def table_lines(rows: Sequence[Mapping[str, str]], *, width: int) -> Iterator[str]:
    """The rows, a line each, under a line of headings; none is longer than `width`, if that can be done."""
    shown = next(columns for width_min, columns in FITTING if width >= width_min)
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in shown}
    cut = [name for name in shown if name in CUT]
    excess = sum(widths.values()) + len(GAP) * (len(shown) - 1) - width
    for _ in range(max(0, excess)):
        widest = max(cut, key=widths.__getitem__)
        widths[widest] = max(len(widest), widths[widest] - 1)
    for row in ({name: name for name in shown}, *rows):
        yield GAP.join(_cell(row[name], widths[name]) for name in shown).rstrip()


def _cell(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else "…" + text[len(text) - width + 1 :]


def _row(entry: "EntryView") -> dict[str, str]:
    resource = " ".join(part for part in (entry.resource_type, entry.resource_id) if part)
    return {
        "time": f"{entry.time:%Y-%m-%dT%H:%M:%SZ}",
        "tenant": entry.tenant,
        "seq": str(entry.seq),
        "actor": entry.actor_id or "-",
        "action": entry.action or entry.type,
        "resource": resource or "-",
        "outcome": entry.outcome or "-",
        "id": entry.id,
    }


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
            f"tenant {ledger.tenant}: {_entries(ledger.entries)}, {ledger.covered} of them under "
            f"{_common.counted(ledger.checkpoints, 'checkpoint')}"
        )
    rate = report.entries / report.seconds if report.seconds else 0
    verdict = "ok" if report.ok else f"NOT OK, {_common.counted(report.finding_count, 'finding')}"
    typer.echo(f"{verdict}: {_entries(report.entries)} verified in {report.seconds:.2f} s ({rate:,.0f}/s)")


def _entries(number: int) -> str:
    return _common.counted(number, "entry", "entries")


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
