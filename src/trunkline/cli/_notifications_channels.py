"""`trunkline notifications channels`, `secret` and `user`: where notifications go, and what that needs."""

import sys
from typing import Annotated, Final

import typer

from trunkline.cli import _common
from trunkline.cli._common import AsJson, DataDir
from trunkline.cli._notifications import StoreUrl, Tenant, desk, print_rows, shown_time
from trunkline.errors import InvalidInput, TrunklineError

LIST_HELP: Final = """List the channels that a tenant has, and how their endpoints do.

[bold]Example[/bold]

  trunkline notifications channels list --tenant acme
"""
TEST_HELP: Final = """Send one message to every target of a channel, now; exit 1 if one did not get it.

[bold]Example[/bold]

  trunkline notifications channels test ops --tenant acme
"""
ENABLE_HELP: Final = """Try an endpoint again that was disabled. Those of everybody belong to tenant system.

[bold]Example[/bold]

  trunkline notifications channels enable ops --tenant acme
"""
SET_HELP: Final = """Keep a secret, from standard input, sealed. Channels refer to it as secret:NAME.

[bold]Example[/bold]

  trunkline notifications secret set ops --tenant acme < secret.txt
"""
GENERATE_HELP: Final = """Make a signing secret for a webhook, keep it sealed, and print it for the receiver.

[bold]Example[/bold]

  trunkline notifications secret generate ops --tenant acme
"""
FORGET_HELP: Final = """Destroy a secret.

[bold]Example[/bold]

  trunkline notifications secret forget ops --tenant acme
"""
ADDRESS_HELP: Final = """Keep a user's e-mail address, from standard input, sealed. --forget deletes it.

[bold]Example[/bold]

  echo ada@acme.example | trunkline notifications user address ada --tenant acme
"""
PREFER_HELP: Final = """Choose how a user hears of a category on a channel; `*` is the tenant as a whole.

[bold]Example[/bold]

  trunkline notifications user prefer ada digest --category quality --tenant acme
"""

app = _common.new_app("Channels: how they do, trying one out.", no_args_is_help=True)
secret = _common.new_app("Secrets that channels refer to.", no_args_is_help=True)
user = _common.new_app("Users: their addresses and what they want to hear of.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Its name.")]
Category = Annotated[str | None, typer.Option("--category", help="Of this category; all without.")]
OnChannel = Annotated[str | None, typer.Option("--channel", help="On this channel; all without.")]
ModeName = Annotated[str, typer.Argument(help="off, immediate, digest, or default.")]


@app.command("list", help=LIST_HELP)
def list_(
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import people

    with desk(data_dir, store) as at, at.context.store.read() as tx:
        found = people.channels(tx, at.configuration, tenant)
    if as_json:
        _common.print_json(found)
        return
    rows = [
        (
            one.name,
            one.kind,
            "everybody" if one.everybody else tenant,
            f"disabled {shown_time(one.disabled_at)}"
            if one.disabled_at
            else "failing"
            if one.failing_since
            else "ok",
            one.reason or "",
        )
        for one in found
    ]
    print_rows(rows, "channel", "kind", "of", "state", "reason", nothing=f"{tenant} has no channel")


@app.command("test", help=TEST_HELP)
def try_out(
    name: Name,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    from trunkline.services.notification import actions
    from trunkline.services.notification.trial import try_channel

    with desk(data_dir, store) as at:
        channel = actions.channel_of(at.configuration, tenant, name)
        results = try_channel(at.ways(), channel, tenant=tenant, now_us=at.now_us)
    if as_json:
        _common.print_json(results)
    else:
        for target, result in results.items():
            typer.echo(f"{target}: {result.outcome}{f': {result.detail}' if result.detail else ''}")
    if any(result.outcome != "sent" for result in results.values()):
        raise typer.Exit(1)


@app.command(help=ENABLE_HELP)
def enable(
    name: Name,
    *,
    tenant: Tenant,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    from trunkline.services.notification import actions

    with desk(data_dir, store) as at, at.context.store.write() as tx:
        channel = actions.channel_of(at.configuration, tenant, name)
        if channel.owner != tenant:
            raise InvalidInput(f"channel {name} is everybody's; use --tenant {channel.owner}")
        actions.enable_channel(tx, channel)
    _common.note(f"channel {name} is tried again; `trunkline notifications retry` sends what is dead")


@secret.command("set", help=SET_HELP)
def set_(
    name: Name, *, tenant: Tenant, data_dir: DataDir = _common.DEFAULT_DATA_DIR, store: StoreUrl = None
) -> None:
    _keep(name, _from_stdin("the secret"), tenant, data_dir, store)
    _common.note(f"secret {name} is kept; channels refer to it as secret:{name}")


@secret.command(help=GENERATE_HELP)
def generate(
    name: Name, *, tenant: Tenant, data_dir: DataDir = _common.DEFAULT_DATA_DIR, store: StoreUrl = None
) -> None:
    from trunkline.services.notification.vault import new_signing_secret

    value = new_signing_secret()
    _keep(name, value, tenant, data_dir, store)
    typer.echo(value)


def _keep(name: str, value: str, tenant: str, data_dir: DataDir, store: str | None) -> None:
    with desk(data_dir, store, create=True) as at, at.context.store.write() as tx:
        at.vault.keep(tx, tenant, name, value, now_us=at.now_us)


@secret.command(help=FORGET_HELP)
def forget(
    name: Name, *, tenant: Tenant, data_dir: DataDir = _common.DEFAULT_DATA_DIR, store: StoreUrl = None
) -> None:
    with desk(data_dir, store) as at, at.context.store.write() as tx:
        at.vault.forget(tx, tenant, name)
    _common.note(f"secret {name} is gone")


@user.command(help=ADDRESS_HELP)
def address(
    name: Name,
    *,
    tenant: Tenant,
    forget: Annotated[bool, typer.Option("--forget", help="Delete it.")] = False,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    value = None if forget else _from_stdin("the address")
    with desk(data_dir, store, create=True) as at, at.context.store.write() as tx:
        if value is None:
            at.vault.forget_address(tx, tenant, name)
        else:
            at.vault.keep_address(tx, tenant, name, value)
    _common.note(f"the address of {name} is {'deleted' if forget else 'kept'}")


@user.command(help=PREFER_HELP)
def prefer(
    name: Name,
    mode: ModeName,
    *,
    tenant: Tenant,
    category: Category = None,
    channel: OnChannel = None,
    data_dir: DataDir = _common.DEFAULT_DATA_DIR,
    store: StoreUrl = None,
) -> None:
    from typing import cast

    from trunkline.services.notification import actions
    from trunkline.services.settings.notification import Mode

    if mode not in ("off", "immediate", "digest", "default"):
        raise InvalidInput(f"{mode!r}: choose off, immediate or digest; default takes a choice back")
    chosen = None if mode == "default" else cast("Mode", mode)
    with desk(data_dir, store, create=True) as at, at.context.store.write() as tx:
        actions.prefer(tx, tenant, name, category=category, channel=channel, mode=chosen, now_us=at.now_us)
    _common.note(f"{name}: {mode} for {category or 'every category'} on {channel or 'every channel'}")


def _from_stdin(what: str) -> str:
    """Not an argument: those are seen by everybody on the machine, and kept in the shell's history."""
    if sys.stdin.isatty():
        return str(typer.prompt(f"Type {what}", hide_input=True))
    value = sys.stdin.readline().strip()
    if not value:
        raise TrunklineError(f"nothing on standard input; pipe {what} in")
    return value
