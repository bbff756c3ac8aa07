"""What the modules of `trunkline notifications` share: the service's parts on its store, and tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.services.app import Context
    from trunkline.services.notification.configuration import Configuration
    from trunkline.services.notification.vault import Vault
    from trunkline.services.notification.ways import Ways

SERVICE: Final = "notification-service"

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose.")]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The service's database, if not in DIR.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")]
Actor = Annotated[str, typer.Option("--actor", help="Who does it.")]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Desk:
    """The service's parts, as a command works with them."""

    context: "Context"
    configuration: "Configuration"
    vault: "Vault"

    @property
    def now_us(self) -> int:
        from trunkline.services.notification.facts import to_us

        return to_us(self.context.wall())

    def ways(self) -> "Ways":
        from trunkline.services.notification.app import ways_of
        from trunkline.services.notification.unsubscribing import Unsubscribing

        unsubscribing = Unsubscribing.on(self.context.store, self.context.keys)
        return ways_of(self.context, self.configuration, self.vault, unsubscribing)


@contextmanager
def desk(data_dir: Path, store: str | None, *, create: bool = False) -> Iterator[Desk]:
    """The parts on the store, with the configuration that the service knew last."""
    from trunkline.services.notification.configuration import Configuration
    from trunkline.services.notification.vault import Vault

    with offline(SERVICE, data_dir=data_dir, store=store, create=create) as context:
        yield Desk(context, Configuration(context.settings), Vault(context.store, context.keys))


def seconds_of(text: str) -> timedelta:
    """A length of time, such as 90m. Raises `InvalidInput`."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdecimal()) or len(number) > 6:
        raise InvalidInput(f"{text!r} is no length of time; write 90s, 30m, 2h or 7d")
    return timedelta(seconds=int(number) * _UNITS[unit])


def shown_time(moment: datetime | None) -> str:
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_rows(rows: Sequence[tuple[str, ...]], *headings: str, nothing: str) -> None:
    """A table, or a word on why there is none."""
    from trunkline.cli._tables import new_table, print_table

    if not rows:
        _common.note(nothing)
        return
    table = new_table(*headings)
    for row in rows:
        table.add_row(*row)
    print_table(table)
