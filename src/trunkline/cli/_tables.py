"""Tables that people read and that `grep` can cut: in a pipe every row is one line."""

from typing import Final

from rich.table import Table

from trunkline.cli._common import console

PIPE_WIDTH: Final = 1_000
"""Characters; no terminal is there to wrap for, and a row must not be broken."""


def new_table(*headings: str, right: tuple[str, ...] = ()) -> Table:
    """A plain table; the headings in `right` are of numbers, and only the last column may wrap."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 3, 0, 0))
    for heading in headings:
        table.add_column(
            heading, justify="right" if heading in right else "left", no_wrap=heading != headings[-1]
        )
    return table


def print_table(table: Table) -> None:
    """On a terminal as wide as that is."""
    target = console()
    if not target.is_terminal:
        target.width = PIPE_WIDTH
    target.print(table, soft_wrap=False)
