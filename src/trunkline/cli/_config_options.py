"""Options and texts that the `trunkline config` commands share."""

import getpass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.catalogue.events.config import Level
    from trunkline.client.broadcast.entries import Kind, Name

SERVICE: Final = "config-service"
DIGITS_MAX: Final = 9
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Key = Annotated[str, typer.Argument(help="The setting or flag, for instance query.timeout_ms.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="On this tenant's level.")]
Service = Annotated[str | None, typer.Option("--service", "-s", help="On this service's level.")]
Environment = Annotated[str | None, typer.Option("--environment", help="On this environment's level.")]
Flag = Annotated[bool, typer.Option("--flag", help="The flag of this name, not the setting.")]
Reason = Annotated[str | None, typer.Option(help="Why, for the history.")]
Expect = Annotated[
    int | None,
    typer.Option(min=0, metavar="VERSION", help="Only if this is its version now; 0: only if it is new."),
]
Actor = Annotated[
    str | None,
    typer.Option(
        envvar="TRUNKLINE_ACTOR", help="Who does it, without --url; the user of this machine otherwise."
    ),
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The config service's database, if not in DIR.")
]
ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="TRUNKLINE_CONFIG_URL",
        metavar="URL",
        help="The config service's HTTP API, instead of its database.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="TRUNKLINE_TOKEN", help="For the API; `trunkline token` issues one.", show_default=False
    ),
]


def name_of(
    key: str,
    *,
    tenant: str | None = None,
    service: str | None = None,
    environment: str | None = None,
    flag: bool = False,
) -> "Name":
    """The name that the options speak of; global without any. Raises `InvalidInput` for two levels."""
    from trunkline.client.broadcast.entries import Name

    options: dict[Level, str | None] = {"tenant": tenant, "service": service, "environment": environment}
    given = [(level, scope) for level, scope in options.items() if scope is not None]
    if len(given) > 1:
        raise InvalidInput("give one of --tenant, --service and --environment: it is set on one level")
    kind: Kind = "flag" if flag else "value"
    if not given:
        return Name(kind, "global", None, key)
    level, scope = given[0]
    return Name(kind, level, scope, key)


def actor_of(actor: str | None) -> str:
    """Who acts on this machine."""
    return actor or getpass.getuser()


def moment(option: str, text: str | None) -> datetime | None:
    """A time as RFC 3339 has it, or from now as `90s`, `15m`, `2h`, `3d`. Raises `InvalidInput`."""
    if text is None:
        return None
    unit = _UNITS.get(text[-1:])
    if unit is not None and text[:-1].isdecimal() and len(text) <= DIGITS_MAX:
        return datetime.now(UTC) + timedelta(**{unit: int(text[:-1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{option} {text!r}: write 2026-12-01T08:00:00Z, or 15m for minutes") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def shown(value: object) -> str:
    """A value on one line."""
    return msgspec.json.encode(value).decode()


def place(told: dict[str, Any]) -> str:
    """Where something is set: `tenant acme`, or `global`."""
    return f"{told['level']} {told['scope']}" if told.get("scope") else str(told["level"])
