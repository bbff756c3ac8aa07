"""Channels: how they do, a trial, their secrets."""

from typing import Annotated

from fastapi import APIRouter, Body

from trunkline.services.app import Context
from trunkline.services.kit.api import Caller, Problem, Reading, caller, reading
from trunkline.services.notification import actions, people
from trunkline.services.notification.api.common import now_us, require_manager
from trunkline.services.notification.channels import Result
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.trial import try_channel
from trunkline.services.notification.vault import Vault
from trunkline.services.notification.views import ChannelView
from trunkline.services.notification.ways import Ways


def add(router: APIRouter, context: Context, configuration: Configuration, vault: Vault, ways: Ways) -> None:
    """Add what concerns channels."""

    @router.get("/channels")
    def channels(at: Annotated[Reading, reading], who: Annotated[Caller, caller]) -> list[ChannelView]:
        """The tenant's channels, and how their endpoints do."""
        return people.channels(at.tx, configuration, who.tenant)

    @router.post("/channels/{channel}/test")
    def test(channel: str, who: Annotated[Caller, caller]) -> dict[str, Result]:
        """Send one message to every target of a channel, now."""
        require_manager(who)
        found = actions.channel_of(configuration, who.tenant, channel)
        return try_channel(ways, found, tenant=who.tenant, now_us=now_us(context))

    @router.post("/channels/{channel}/enable", status_code=204)
    def enable(channel: str, who: Annotated[Caller, caller]) -> None:
        """Try a disabled endpoint again; one that is everybody's, only the operator."""
        require_manager(who)
        found = actions.channel_of(configuration, who.tenant, channel)
        if found.owner != who.tenant:
            raise Problem(403, f"channel {channel} is everybody's; an operator enables it")
        with context.store.write() as tx:
            actions.enable_channel(tx, found)

    @router.put("/secrets/{name}", status_code=204)
    def keep(name: str, value: Annotated[str, Body(embed=True)], who: Annotated[Caller, caller]) -> None:
        """Keep a secret sealed, for channels to refer to as `secret:NAME`."""
        require_manager(who)
        with context.store.write() as tx:
            vault.keep(tx, who.tenant, name, value, now_us=now_us(context))

    @router.delete("/secrets/{name}", status_code=204)
    def forget(name: str, who: Annotated[Caller, caller]) -> None:
        """Destroy a secret."""
        require_manager(who)
        with context.store.write() as tx:
            vault.forget(tx, who.tenant, name)
