"""Finds the way to a target: channel, secrets and addresses as they are at the moment of the attempt."""

from pathlib import Path
from typing import Final

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.services.notification.channels import Message, Result, Way
from trunkline.services.notification.channels.addresses import Guard
from trunkline.services.notification.channels.everything_else import AppriseWay
from trunkline.services.notification.channels.file import FileWay, directory_of
from trunkline.services.notification.channels.mail import MailWay
from trunkline.services.notification.channels.webhook import Connections, WebhookWay
from trunkline.services.notification.configuration import ChannelInForce, Configuration
from trunkline.services.notification.unsubscribing import PATH, Purpose, Unsubscribing
from trunkline.services.notification.vault import SecretMissing, Vault
from trunkline.services.settings.notification import (
    AppriseChannel,
    EmailChannel,
    FileChannel,
    InboxChannel,
    Webhook,
)

APPRISE_OF_EVERYBODY: Final = "Apprise is for channels of everybody: its URLs can lead anywhere"

DELIVERED: Final = Result("sent")
"""What is to be in the inbox is put there with the record of the delivery, hence exactly once."""


class Ways:
    """Sends messages on channels. Thread-safe."""

    def __init__(
        self,
        configuration: Configuration,
        vault: Vault,
        unsubscribing: Unsubscribing,
        *,
        data_dir: Path,
    ) -> None:
        self._configuration = configuration
        self._vault = vault
        self._unsubscribing = unsubscribing
        self._data_dir = data_dir
        self._guard = Guard()
        self._allowed: tuple[str, ...] = ()
        self.connections = Connections()

    def send(self, channel: ChannelInForce, message: Message) -> Result:
        """Try once. Whatever goes wrong is a result."""
        try:
            way = self._way(channel, message)
            return way if isinstance(way, Result) else way.send(message)
        except SecretMissing as error:
            return Result("retry", detail=str(error))

    def _way(self, channel: ChannelInForce, message: Message) -> Way | Result:
        match channel.channel:
            case Webhook() as webhook:
                return self._webhook(webhook, channel)
            case EmailChannel():
                return self._mail(message)
            case InboxChannel():
                return DELIVERED
            case FileChannel():
                return FileWay(directory_of(self._data_dir, message.tenant) / f"{channel.name}.jsonl")
            case AppriseChannel():
                return self._apprise(channel, message)

    def _webhook(self, webhook: Webhook, channel: ChannelInForce) -> Way | Result:
        secrets = [self._vault.secret(channel.owner, one) for one in webhook.secrets]
        try:
            return WebhookWay(webhook.url, secrets, guard=self.guard, connections=self.connections)
        except ValueError as error:
            return Result("retry", detail=f"a secret of {channel.name} is not base64: {error}")

    def _apprise(self, channel: ChannelInForce, message: Message) -> Way | Result:
        if channel.owner != SYSTEM_TENANT:
            return Result("refused", detail=APPRISE_OF_EVERYBODY)
        return AppriseWay(self._vault.secret(channel.owner, message.target))

    @property
    def guard(self) -> Guard:
        """What vets the hosts of webhooks, by what the operator allows now."""
        allowed = self._configuration.allowed_networks
        if allowed != self._allowed:
            self._guard, self._allowed = Guard(allowed), allowed
        return self._guard

    def _mail(self, message: Message) -> Way | Result:
        smtp = self._configuration.smtp
        if smtp is None:
            return Result("retry", detail="no mail server is set; an operator sets notification.smtp")
        address = self._vault.address(message.tenant, message.target)
        if address is None:
            return Result("refused", detail=f"no address of {message.target} is known")
        password = None if smtp.password is None else self._vault.secret(SYSTEM_TENANT, smtp.password)
        return MailWay(smtp, address, password=password, unsubscribe=self._link(message))

    def _link(self, message: Message) -> str | None:
        base = self._configuration.public_url
        if base is None:
            return None
        purpose = Purpose(message.tenant, message.target, message.category, message.channel)
        return f"{base}{PATH}{self._unsubscribing.token(purpose)}"
