"""`trunkline bench`: broker, client and codec beside their peers, in one run."""

import logging
from typing import TYPE_CHECKING, Annotated, Final

import structlog
import typer

from trunkline.cli._common import AsJson, console, new_app, note, print_json
from trunkline.cli._logging import log_to_stderr
from trunkline.testing.bench.run import Part, run

if TYPE_CHECKING:
    from trunkline.testing.bench.figures import Figure, Report

WIDTH_WITH_RANGES: Final = 100
"""A narrower terminal would cut the figures; JSON has the samples of every round."""

app = new_app("Measure broker and client against raw librdkafka in one run.")


@app.command()
def bench(
    only: Annotated[
        list[Part] | None, typer.Option(help="Measure this part alone; may be given again.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=60, help="How long each load lasts; there are about twenty.")
    ] = 1.5,
    rounds: Annotated[int, typer.Option(min=1, max=25, help="How often loads and peers alternate.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure codec, embedded broker and client, each beside a peer in the same run.

    Ratios compare machines; absolute figures only hold for this one. The command takes processes and a
    temporary directory of its own and leaves nothing behind.

    Example: [bold]trunkline bench --only broker --seconds 1[/bold]
    """
    log_to_stderr(as_json=as_json)
    # Partitions that come and go are what this does, not news.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    report = run(only or list(Part), seconds=seconds, rounds=rounds, say=note)
    if as_json:
        print_json(report)
    else:
        show(report)


def show(report: "Report") -> None:
    """The report as a table for a person."""
    from rich.table import Table

    out = console()
    columns = {"median": _value, "range": _range, "target": _target, "peer": _peer, "ratio": _ratio}
    if out.width < WIDTH_WITH_RANGES:
        del columns["range"]
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    part = ""
    for item in report.figures:
        if item.part != part:
            part = item.part
            table.add_row(f"[bold]{part}[/bold]")
        table.add_row(f"  {item.name}", *(shown(item) for shown in columns.values()))
    out.print(table)
    out.print(
        f"\n{report.took_seconds:g} s, median and range of the rounds; trunkline {report.trunkline}, "
        f"Python {report.python}, librdkafka {report.librdkafka}, {report.processors} processors, "
        f"load {report.load_average:g} before the run"
    )
    peers = {item.part: item.peer for item in report.figures if item.peer is not None}
    for name, peer in peers.items():
        out.print(f"- peer of {name}: {peer}")
    for line in report.notes:
        out.print(f"- {line}")


def _value(item: "Figure") -> str:
    return f"{item.value:.4g} {item.unit}"


def _range(item: "Figure") -> str:
    """The least and the greatest of the rounds."""
    return f"{min(item.samples):.4g}–{max(item.samples):.4g}" if len(item.samples) > 1 else ""


def _target(item: "Figure") -> str:
    if item.target is None:
        return ""
    colour = "green" if item.met else "red"
    return f"[{colour}]{'≤' if item.better == 'less' else '≥'} {item.target:g}[/{colour}]"


def _peer(item: "Figure") -> str:
    return "" if item.reference is None else f"{item.reference:.4g}"


def _ratio(item: "Figure") -> str:
    return "" if item.ratio is None else f"{item.ratio:.3g}x"
