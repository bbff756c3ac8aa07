"""`trunkline config` commands that change something."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from trunkline.cli import _common, _connection
from trunkline.cli._common import AsJson, BootstrapServers, DataDir
from trunkline.cli._config_desk import Change, Told, desk
from trunkline.cli._config_options import (
    Actor,
    ApiUrl,
    Environment,
    Expect,
    Flag,
    Key,
    Reason,
    Service,
    StoreUrl,
    Tenant,
    Token,
    moment,
    name_of,
    place,
)
from trunkline.cli._config_watch import WAIT_SECONDS, wait_for
from trunkline.cli._connection import ClientProperties
from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from trunkline.client.broadcast.entries import Name


class OnOff(StrEnum):
    """Whether a flag is on at all."""

    ON = "on"
    OFF = "off"


SET_EXAMPLE: Final = """Set a setting on a level; without one, for everybody.

VALUE is JSON, @FILE, or - for standard input. What no service could use is refused with the reason. The
change goes out when the service runs; with --wait the command returns when every instance has applied it.

[bold]Examples[/bold]

  trunkline config set query.timeout_ms 30000 --tenant acme --reason "long reports"

  trunkline config set export.format '"parquet"' --at 2h --expect 3
"""
UNSET_EXAMPLE: Final = """Take a setting or a flag off a level; the wider one shows through.

[bold]Example[/bold]

  trunkline config unset query.timeout_ms --tenant acme
"""
FLAG_EXAMPLE: Final = """Switch a feature flag, for everybody or for one tenant.

It is on for the tiers named and for --rollout percent of the other tenants, the same ones on every instance.

[bold]Examples[/bold]

  trunkline config flag ui.editor on --rollout 25 --tier enterprise

  trunkline config flag ui.editor off --tenant acme
"""
ROLLBACK_EXAMPLE: Final = """Set a setting or a flag to what it was at a version, as a new version.

[bold]Example[/bold]

  trunkline config rollback query.timeout_ms --to 6 --tenant acme
"""
SCHEDULE_EXAMPLE: Final = """Set a setting at a time: once, by whichever instance of the service comes first.

[bold]Example[/bold]

  trunkline config schedule query.timeout_ms 60000 --at 2026-12-01T08:00:00Z
"""
AtTime = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Not now: RFC 3339, or 15m from now.")
]
Wait = Annotated[bool, typer.Option("--wait", help="Until every instance that runs has applied it.")]
WaitSeconds = Annotated[float, typer.Option("--timeout", min=0, help="How many seconds --wait waits.")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="JSON, @FILE or -.")]


def set_(
    key: Key,
    value: Value,
    *,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    reason: Reason = None,
    expect: Expect = None,
    at: AtTime = None,
    wait: Wait = False,
    timeout: WaitSeconds = WAIT_SECONDS,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    bootstrap_servers: BootstrapServers = _common.DEFAULT_BOOTSTRAP,
    client_properties: ClientProperties = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment)
    change = _change(name, _value(value), reason=reason, expect=expect, at=at)
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor, create=True) as open_desk:
        told = open_desk.submit(change)
    show(told, as_json=as_json)
    if wait and told["version"] is not None:
        connection = _connection.connection(bootstrap_servers, properties=client_properties)
        wait_for(connection, name, told["version"], seconds=timeout, as_json=as_json)


def schedule(
    key: Key,
    value: Value,
    *,
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="RFC 3339, or 15m from now.")],
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    reason: Reason = None,
    expect: Expect = None,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment)
    change = _change(name, _value(value), reason=reason, expect=expect, at=at)
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor, create=True) as open_desk:
        show(open_desk.submit(change), as_json=as_json)


def unset(
    key: Key,
    *,
    flag: Flag = False,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    reason: Reason = None,
    expect: Expect = None,
    at: AtTime = None,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment, flag=flag)
    change = _change(name, msgspec.UNSET, reason=reason, expect=expect, at=at)
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor) as open_desk:
        show(open_desk.submit(change), as_json=as_json)


def flag(
    key: Key,
    state: Annotated[OnOff, typer.Argument(help="on or off.")],
    *,
    rollout: Annotated[
        int, typer.Option(min=0, max=100, metavar="PERCENT", help="Of the tenants, when it is on.")
    ] = 100,
    tier: Annotated[
        list[str] | None, typer.Option(help="On for every tenant of this tier; repeatable.")
    ] = None,
    starts_at: Annotated[
        str | None, typer.Option("--starts-at", metavar="TIME", help="Off until then, on every instance.")
    ] = None,
    tenant: Tenant = None,
    reason: Reason = None,
    expect: Expect = None,
    at: AtTime = None,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.client.broadcast.entries import FlagRule

    rule = FlagRule(
        enabled=state is OnOff.ON,
        rollout_percent=rollout,
        tiers=tuple(tier or ()),
        starts_at=moment("--starts-at", starts_at),
    )
    name = name_of(key, tenant=tenant, flag=True)
    change = _change(name, rule, reason=reason, expect=expect, at=at)
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor, create=True) as open_desk:
        show(open_desk.submit(change), as_json=as_json)


def rollback(
    key: Key,
    *,
    to: Annotated[int, typer.Option("--to", min=1, metavar="VERSION", help="As it was at this version.")],
    flag: Flag = False,
    tenant: Tenant = None,
    service: Service = None,
    environment: Environment = None,
    reason: Reason = None,
    expect: Expect = None,
    actor: Actor = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    url: ApiUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    name = name_of(key, tenant=tenant, service=service, environment=environment, flag=flag)
    with desk(data_dir=data_dir, store=store, url=url, token=token, actor=actor) as open_desk:
        show(open_desk.rollback(name, to, reason=reason, expected=expect), as_json=as_json)


def show(told: Told, *, as_json: bool) -> None:
    """Say what became of a change."""
    if as_json:
        _common.print_json(told)
        return
    what = f"{told['key']} ({place(told)})"
    match told["outcome"]:
        case "changed":
            typer.echo(f"{what} has version {told['version']}")
        case "unchanged":
            typer.echo(f"{what} is so already, version {told['version']}")
        case "proposed":
            typer.echo(f"{what} waits for approval: `trunkline config approve {told['plan_id']}`")
        case _:
            typer.echo(f"{what} is scheduled: {told['plan_id']}")


def _change(name: "Name", value: Any, *, reason: str | None, expect: int | None, at: str | None) -> Change:
    return Change(name=name, value=value, reason=reason, expected=expect, at=moment("--at", at))


def _value(text: str) -> Any:
    if text == "-":
        raw = sys.stdin.buffer.read()
    elif text.startswith("@"):
        try:
            raw = Path(text[1:]).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{text[1:]}: {error.strerror}") from error
    else:
        raw = text.encode()
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the value is not JSON: {error}; a text is written '\"in quotes\"'") from error
