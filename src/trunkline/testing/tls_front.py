"""A port that speaks TLS in front of one that does not, on loopback, for tests of clients.

with TlsFront(broker.address, server=authority.issue("broker", address="127.0.0.1")) as front:
    connect_to(front.port)
"""

import contextlib
import socket
import ssl
import tempfile
import threading
from types import TracebackType
from typing import Final, Self

from trunkline.testing.certificates import LOOPBACK, Issued

CHUNK_BYTES: Final = 1 << 16
ACCEPT_POLL_SECONDS: Final = 0.05
SILENT_SECONDS_MAX: Final = 10.0


class TlsFront:
    """A context manager; every connection has its own thread. With `clients_ca` clients show who they are."""

    def __init__(self, address: str, *, server: Issued, clients_ca: bytes | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._behind = (host, int(port))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(server.keystore)
            file.flush()
            self._context.load_cert_chain(file.name)
        if clients_ca is not None:
            self._context.load_verify_locations(cadata=clients_ca.decode())
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.settimeout(ACCEPT_POLL_SECONDS)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="tls-front", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """One request and one answer at a time, which is how a client greets."""
        client.settimeout(SILENT_SECONDS_MAX)
        with (
            contextlib.suppress(OSError),
            client,
            self._context.wrap_socket(client, server_side=True) as inside,
            socket.create_connection(self._behind, timeout=SILENT_SECONDS_MAX) as behind,
        ):
            while asked := inside.recv(CHUNK_BYTES):
                behind.sendall(asked)
                inside.sendall(behind.recv(CHUNK_BYTES))
