"""Options of `trunkline policy`, and what its commands share: the store, the order, the answer."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from trunkline.cli import _common
from trunkline.cli._offline import offline
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trunkline.client.outbox import Outbox
    from trunkline.services.app import Context
    from trunkline.services.governance.holds import Held
    from trunkline.services.governance.orders import Activated, Draft, Order

SERVICE: Final = "governance-service"
FILE_BYTES_MAX: Final = 8 << 20

Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose.")]
Actor = Annotated[str, typer.Option("--actor", help="Who orders it.")]
Why = Annotated[str | None, typer.Option("--reason", help="A sentence for people.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="The governance service's database, if not in DIR."),
]
ACTOR: Final = "operator"

_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Desk:
    """The store of governance, in a transaction that writes, and who orders."""

    context: "Context"
    tx: "Connection"
    outbox: "Outbox"
    order: "Order"

    @property
    def exempt_roles(self) -> tuple[str, ...]:
        """Who may read what is quarantined, by the rules that the service knew last."""
        from trunkline.services.governance.rulebook import Rulebook

        return Rulebook(self.context.settings).of(self.order.tenant).exempt_roles


@contextmanager
def ordering(
    tenant: str, *, data_dir: Path, store: str | None, actor: str, reason: str | None = None
) -> Iterator[Desk]:
    """The desk of an order; commits at the end. The events go out when the service runs."""
    from trunkline.services.governance.orders import Order

    with offline(SERVICE, data_dir=data_dir, store=store, create=True) as context:
        assert context.outbox is not None
        order = Order(tenant=tenant, actor_id=actor, now=context.wall(), reason=reason)
        with context.store.write() as tx:
            yield Desk(context, tx, context.outbox, order)


@contextmanager
def reading(*, data_dir: Path, store: str | None) -> "Iterator[Connection]":
    """One consistent read. Raises `InvalidInput` for a store that is not there."""
    with offline(SERVICE, data_dir=data_dir, store=store) as context, context.store.read() as tx:
        yield tx


def read_drafts(path: Path) -> "list[Draft]":
    """The policies in a file: YAML or JSON, a list of them or one. Raises `InvalidInput`."""
    import msgspec
    import yaml

    from trunkline.catalogue.file import read_file
    from trunkline.services.governance.orders import Draft

    raw = read_file(path, "policies", bytes_max=FILE_BYTES_MAX)
    try:
        found = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if isinstance(found, dict) and set(found) == {"policies"}:
        found = found["policies"]
    try:
        return msgspec.convert(found if isinstance(found, list) else [found], list[Draft])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{path}: {error}") from error


def read_json(path: Path, what: str) -> Any:
    """A JSON file. Raises `InvalidInput`."""
    import msgspec

    from trunkline.catalogue.file import read_file

    try:
        return msgspec.json.decode(read_file(path, what, bytes_max=FILE_BYTES_MAX))
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{path}: not JSON: {error}") from error


def until(duration: str, now: datetime) -> datetime:
    """When so much time has passed: `30m`, `12h`, `7d`. Raises `InvalidInput`."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise InvalidInput(f"--for {duration!r}: write minutes, hours or days, such as 30m, 12h or 7d")
    return now + timedelta(**{_UNITS[found[2]]: int(found[1])})


def show_activated(done: "Activated", *, as_json: bool) -> None:
    """What an order about policies came to."""
    if as_json:
        _common.print_json(done)
        return
    for policy_id, version in done.published.items():
        typer.echo(f"published {policy_id} version {version}")
    said = "is now in force" if done.changed else "was in force already; nothing has changed"
    typer.echo(f"{done.tenant}: revision {done.revision} {said}")


def show_held(done: "Held", *, as_json: bool) -> None:
    """What an order about an asset came to."""
    if as_json:
        _common.print_json(done)
        return
    state = "is open to readers" if done.mode is None else f"is quarantined, mode {done.mode}"
    end = "" if done.until is None else f", until {moment(done.until)} whatever its checks say"
    revision = "" if done.revision is None else f" (revision {done.revision})"
    typer.echo(f"{done.asset} {state}{revision}{end}")


def moment(when: datetime) -> str:
    """For people, to the second."""
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
