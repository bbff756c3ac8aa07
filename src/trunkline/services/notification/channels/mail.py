"""E-mail over SMTP, with the one-click unsubscription of RFC 8058."""

import smtplib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from trunkline.services.notification.channels import Message, Result
from trunkline.services.settings.notification import Smtp

TIMEOUT_S: Final = 20.0
SUBJECT_MAX: Final = 200

_PERMANENT: Final = range(500, 600)


class MailWay:
    """Mail to one address. `unsubscribe` is the URL that takes its user out of what the message is about."""

    def __init__(
        self,
        smtp: Smtp,
        address: str,
        *,
        password: str | None,
        unsubscribe: str | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._smtp = smtp
        self._address = address
        self._password = password
        self._unsubscribe = unsubscribe
        self._now = now

    def send(self, message: Message) -> Result:
        """Hand it to the mail server. Its Message-ID is the delivery's, so a second copy can be known."""
        try:
            mail = self.mail(message)
        except ValueError as error:
            return Result("refused", detail=f"the mail cannot be written: {error}")
        try:
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return _refused(code, said)
        except smtplib.SMTPResponseException as error:
            # What the server says of us, such as a wrong password, is for the operator to mend.
            is_data = isinstance(error, smtplib.SMTPDataError)
            return _refused(error.smtp_code, error.smtp_error) if is_data else _later(error.smtp_code, error)
        except (OSError, smtplib.SMTPException) as error:
            return _later(None, error)
        return Result("sent", 250)

    def mail(self, message: Message) -> EmailMessage:
        """The mail. Raises `ValueError` for an address or a text that cannot be in one."""
        mail = EmailMessage()
        mail["From"] = self._smtp.sender
        mail["To"] = self._address
        mail["Subject"] = " ".join(message.subject.split())[:SUBJECT_MAX]
        mail["Date"] = format_datetime(self._now())
        mail["Message-ID"] = f"<{message.id}@{self._smtp.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        if self._unsubscribe is not None:
            mail["List-Unsubscribe"] = f"<{self._unsubscribe}>"
            mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(message.text)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        return mail

    def _connected(self) -> smtplib.SMTP:
        smtp = self._smtp
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if smtp.security == "tls":
            server = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)
        try:
            if smtp.security == "starttls":
                server.starttls(context=context)
            if smtp.username is not None:
                server.login(smtp.username, self._password or "")
        except BaseException:
            server.close()
            raise
        return server


def _refused(code: int, said: bytes | str) -> Result:
    """5yz is for good (RFC 5321 section 4.2.1)."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    detail = f"the mail server says {code} {' '.join(text.split())}"
    return Result("refused" if code in _PERMANENT else "retry", code, detail)


def _later(code: int | None, error: Exception) -> Result:
    return Result("retry", code, f"mail server: {' '.join(str(error).split()) or type(error).__name__}")
