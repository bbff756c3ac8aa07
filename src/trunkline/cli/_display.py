"""How `trunkline up` shows its figures: a table that stays in place, lines, or JSON for a program."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import msgspec
import typer

from trunkline.cli import _common
from trunkline.cli._counts import Counts, line_of, table_of

if TYPE_CHECKING:
    from rich.live import Live


class Display(Protocol):
    """A context manager; `say` works outside of it too."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, counts: Counts, *, title: str) -> None:
        """The figures as they are now."""

    def say(self, text: str) -> None:
        """Something happened that a person should know."""


class _Plain:
    """What the displays have in common that need no cleaning up. Notices go to standard error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def say(self, text: str) -> None:
        _common.note(text)


class JsonLines(_Plain):
    """One JSON object each time."""

    def show(self, counts: Counts, *, title: str) -> None:  # noqa: ARG002 - programs know what they started
        _common.print_json({**msgspec.to_builtins(counts), "published": counts.published})


class TextLines(_Plain):
    """A line when a figure has changed."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, counts: Counts, *, title: str) -> None:  # noqa: ARG002 - said once, when it was up
        line = line_of(counts)
        if line != self._last:
            typer.echo(line)
            self._last = line


class Screen:
    """A table that is redrawn in place; notices scroll by above it."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(console=_common.console(), auto_refresh=False)
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, counts: Counts, *, title: str) -> None:
        if self._live is not None:
            self._live.update(table_of(counts, title=title), refresh=True)

    def say(self, text: str) -> None:
        if self._live is None:
            _common.note(text)
        else:
            self._live.console.print(text, markup=False)


def display_for(*, as_json: bool) -> Display:
    """JSON if asked for, a table on a terminal, else lines."""
    if as_json:
        return JsonLines()
    return Screen() if sys.stdout.isatty() else TextLines()
