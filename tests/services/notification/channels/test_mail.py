"""Mail reaches a real server, can be known again, and can be unsubscribed from with one click."""

import asyncio
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

import pytest
from aiosmtpd.controller import Controller

from trunkline.services.notification.channels import Message
from trunkline.services.notification.channels.mail import MailWay
from trunkline.services.settings.notification import Smtp

MESSAGE: Final = Message(
    id="delivery-1",
    notification="n-1",
    tenant="acme",
    channel="mail",
    target="ada",
    kind="alert",
    rule="r",
    title="t",
    severity="error",
    category="pipeline",
    time_us=0,
    subject="It broke\r\nBcc: eve@evil.example",
    text="Grüße\n.\nend",
    html="<p>Grüße</p>",
)


class Server:
    """What the mail server got; `answer` is what it says to a recipient, to the data."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.rcpt = "250 OK"
        self.data = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's own name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - as above
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.data


class AnyPort(Controller):
    """Its own check would connect to port 0, the one that was asked for."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@pytest.fixture
def server() -> Iterator[tuple[Server, Smtp]]:
    handler = Server()
    controller = AnyPort(handler, hostname="127.0.0.1", port=0)
    controller.start()
    yield (
        handler,
        Smtp(host="127.0.0.1", port=controller.port, sender="trunkline@acme.example", security="none"),
    )
    controller.stop()


def way(smtp: Smtp, unsubscribe: str | None = None) -> MailWay:
    return MailWay(smtp, "ada@acme.example", password=None, unsubscribe=unsubscribe)


def test_it_is_delivered_and_can_be_known_again(server: tuple[Server, Smtp]) -> None:
    handler, smtp = server
    assert way(smtp, "https://a.example/v1/unsubscribe/x").send(MESSAGE).outcome == "sent"
    (mail,) = handler.mails
    assert mail["Message-ID"] == "<delivery-1@acme.example>"
    assert mail["To"] == "ada@acme.example"
    assert mail["Subject"] == "It broke Bcc: eve@evil.example"
    assert mail["Bcc"] is None
    assert mail["List-Unsubscribe"] == "<https://a.example/v1/unsubscribe/x>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["Grüße", ".", "end"]
    assert mail.get_body(("html",)) is not None


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome"),
    [
        ("550 no such user", "250 OK", "refused"),
        ("450 busy", "250 OK", "retry"),
        ("250 OK", "554 spam", "refused"),
        ("250 OK", "451 later", "retry"),
    ],
)
def test_only_what_the_server_refuses_for_good_is_given_up(
    server: tuple[Server, Smtp], rcpt: str, data: str, outcome: str
) -> None:
    handler, smtp = server
    handler.rcpt, handler.data = rcpt, data
    assert way(smtp).send(MESSAGE).outcome == outcome


def test_a_server_that_is_away_is_tried_again() -> None:
    smtp = Smtp(host="127.0.0.1", port=1, sender="a@b.example", security="none")
    assert way(smtp).send(MESSAGE).outcome == "retry"
