"""Standard Webhooks 1.0.0 over kept connections.

`http.client` rather than a larger client: an attempt costs a third of the processor time, and the socket is
ours to make, so that it leads to the address that was vetted. Redirects are failures, as the standard says.
"""

import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook as Signer

from trunkline import __version__
from trunkline.services.notification.channels import Message, Result
from trunkline.services.notification.channels.addresses import AddressRefused, Guard
from trunkline.services.notification.facts import from_us
from trunkline.services.notification.schedule import retry_after_of

TIMEOUT_S: Final = 15.0
"""For a whole attempt, from resolving the name to the last byte of the answer."""
ANSWER_MAX: Final = 64 * 1024
"""What is read of an answer; a longer one costs its connection."""
IDLE_MAX: Final = 32
"""Connections that are kept for one origin."""
IDLE_SECONDS: Final = 30.0
IDLE_TOTAL_MAX: Final = 512

_GONE: Final = 410
_SUCCESS: Final = range(200, 300)


class Origin(NamedTuple):
    """Where connections lead."""

    scheme: str
    host: str
    port: int


@dataclass(slots=True)
class _Kept:
    connection: http.client.HTTPConnection
    since: float


class Connections:
    """Connections that are kept between attempts, and the deadlines of those in use. Thread-safe.

    A socket's time-out is for one read, so a receiver that sends a byte now and then could hold a thread for
    hours: `end_overdue` shuts the sockets whose attempt has lasted too long.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[_Kept]] = {}
        self._total = 0
        self._busy: dict[http.client.HTTPConnection, float] = {}
        self._tls = ssl.create_default_context()

    def take(self, origin: Origin, guard: Guard) -> http.client.HTTPConnection:
        """A connection, kept or new. Raises `AddressRefused` and `OSError`."""
        now = self._monotonic()
        connection = self._kept(origin, now) or self._made(origin, guard)
        with self._lock:
            self._busy[connection] = now + TIMEOUT_S
        return connection

    def give_back(self, origin: Origin, connection: http.client.HTTPConnection, *, keep: bool) -> None:
        """The attempt is over."""
        with self._lock:
            self._busy.pop(connection, None)
            idle = self._idle.setdefault(origin, [])
            if keep and len(idle) < IDLE_MAX and self._total < IDLE_TOTAL_MAX:
                idle.append(_Kept(connection, self._monotonic()))
                self._total += 1
                return
        connection.close()

    def end_overdue(self) -> None:
        """Shut down what has lasted too long, and close what was idle for too long."""
        now = self._monotonic()
        with self._lock:
            overdue = [one for one, deadline in self._busy.items() if deadline < now]
            old = [kept for idle in self._idle.values() for kept in idle if now - kept.since > IDLE_SECONDS]
            for origin, idle in list(self._idle.items()):
                self._idle[origin] = [kept for kept in idle if now - kept.since <= IDLE_SECONDS]
                if not self._idle[origin]:
                    del self._idle[origin]
            self._total -= len(old)
        for connection in overdue:
            _shut(connection)
        for kept in old:
            kept.connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle = [kept for of in self._idle.values() for kept in of]
            self._idle.clear()
            self._total = 0
        for kept in idle:
            kept.connection.close()

    def _kept(self, origin: Origin, now: float) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return None
                kept = idle.pop()
                self._total -= 1
            if now - kept.since <= IDLE_SECONDS and not _is_readable(kept.connection):
                return kept.connection
            kept.connection.close()

    def _made(self, origin: Origin, guard: Guard) -> http.client.HTTPConnection:
        sock = guard.connect(origin.host, origin.port, timeout_s=TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection: http.client.HTTPConnection
        if origin.scheme == "https":
            try:
                secured = self._tls.wrap_socket(sock, server_hostname=origin.host)
            except OSError:
                sock.close()
                raise
            connection = http.client.HTTPSConnection(origin.host, origin.port, timeout=TIMEOUT_S)
            connection.sock = secured
        else:
            connection = http.client.HTTPConnection(origin.host, origin.port, timeout=TIMEOUT_S)
            connection.sock = sock
        # Were it lost, `http.client` would connect by itself, to an address that nobody has looked at.
        connection.auto_open = 0
        return connection


class WebhookWay:
    """One webhook of a tenant. `secrets` sign, the newer first."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        guard: Guard,
        connections: Connections,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises `ValueError` for a secret that is no base64."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._origin = Origin(parts.scheme, host, parts.port or (443 if parts.scheme == "https" else 80))
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._signers = [Signer(secret) for secret in secrets]
        self._guard = guard
        self._connections = connections
        self._now = now

    def send(self, message: Message) -> Result:
        """POST it once. 2xx is success, 410 means that the endpoint wants nothing any more."""
        try:
            connection = self._connections.take(self._origin, self._guard)
        except AddressRefused as error:
            return Result("retry", detail=str(error))
        except (OSError, UnicodeError) as error:
            return Result("retry", detail=f"no connection to {self._origin.host}: {_said(error)}")
        keep = False
        try:
            body = body_of(message)
            connection.request("POST", self._path, body, self.headers(message.id, body))
            answer = connection.getresponse()
            answer.read(ANSWER_MAX)
            keep = answer.isclosed() and not answer.will_close
            return self._result(answer)
        except (OSError, http.client.HTTPException) as error:
            return Result("retry", detail=f"no answer from {self._origin.host}: {_said(error)}")
        finally:
            self._connections.give_back(self._origin, connection, keep=keep)

    def headers(self, delivery: str, body: bytes) -> dict[str, str]:
        """The headers of an attempt; the signature is of its time, the id is not."""
        now = self._now()
        signed = " ".join(signer.sign(delivery, now, body.decode()) for signer in self._signers)
        return {
            "content-type": "application/json",
            "user-agent": f"trunkline/{__version__}",
            "webhook-id": delivery,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signed,
        }

    def _result(self, answer: http.client.HTTPResponse) -> Result:
        status = answer.status
        if status in _SUCCESS:
            return Result("sent", status)
        if status == _GONE:
            return Result("gone", status, "the receiver wants nothing any more (410)")
        after = retry_after_of(answer.headers.get("retry-after"), now=self._now())
        what = "a redirect, which is not followed" if status in range(300, 400) else answer.reason
        return Result("retry", status, f"{status} {what}", after)


def body_of(message: Message) -> bytes:
    """The payload: `type`, `timestamp` and `data`, as the standard has it, the same at every attempt."""
    return msgspec.json.encode(
        {
            "type": f"notification.{message.kind}",
            "timestamp": from_us(message.time_us).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "data": content_of(message),
        }
    )


def content_of(message: Message) -> dict[str, object]:
    """What a program gets of a notification, on every channel for programs."""
    return {
        "notification": message.notification,
        "tenant": message.tenant,
        "rule": message.rule,
        "title": message.title,
        "severity": message.severity,
        "category": message.category,
        "subject": message.subject,
        "text": message.text,
        "count": message.count,
        "items": message.items,
    }


def _is_readable(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection has something to read: then its end, or what nobody asked for."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _shut(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # It has ended by itself meanwhile.


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__
