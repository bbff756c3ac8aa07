"""What Apprise offers: one URL, one delivery, so that a retry repeats nothing that went well."""

from trunkline.services.notification.channels import Message, Result

NOT_INSTALLED = "Apprise is not installed here; pip install trunkline[apprise]"


class AppriseWay:
    """One URL of Apprise's."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> Result:
        """Notify once. Apprise's own retries are in memory alone, and so are left to the service."""
        try:
            import apprise
        except ImportError:
            return Result("retry", detail=NOT_INSTALLED)
        target = apprise.Apprise()
        if not target.add(self._url):
            return Result("refused", detail="Apprise does not understand the URL in this secret")
        try:
            is_sent = target.notify(body=message.text, title=message.subject)
        except Exception as error:  # noqa: BLE001 - plugins raise what they like; the delivery is tried again
            return Result("retry", detail=f"Apprise: {type(error).__name__}: {error}")
        return Result("sent") if is_sent else Result("retry", detail="Apprise could not deliver it")
