"""Tries a channel out: one message, at once, outside of rules, schedule and history."""

from trunkline.codec.identity import new_id
from trunkline.services.notification.audience import users_of
from trunkline.services.notification.channels import Message, Result
from trunkline.services.notification.configuration import ChannelInForce
from trunkline.services.notification.ways import Ways
from trunkline.services.settings.notification import InboxChannel


def try_channel(ways: Ways, channel: ChannelInForce, *, tenant: str, now_us: int) -> dict[str, Result]:
    """What came of a message to each target of a channel: by user, or by the channel where it has none."""
    users = users_of(channel)
    if isinstance(channel.channel, InboxChannel):
        return {user: Result("sent", detail="an inbox needs no trying out") for user in users}
    return {
        user or channel.name: ways.send(channel, _message(channel, tenant, user, now_us)) for user in users
    }


def _message(channel: ChannelInForce, tenant: str, user: str, now_us: int) -> Message:
    id_ = new_id()
    return Message(
        id=id_,
        notification=id_,
        tenant=tenant,
        channel=channel.name,
        target=user,
        kind="test",
        rule="test",
        title="A test",
        severity="info",
        category="test",
        time_us=now_us,
        subject=f"A test of channel {channel.name}",
        text="If you read this, notifications reach you here.\n",
    )
