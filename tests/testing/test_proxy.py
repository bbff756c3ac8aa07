"""The fault proxy between two plain sockets."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from trunkline.testing.proxy import FaultProxy

PATIENCE_S = 5.0
SILENCE_S = 0.2


class Echo:
    """Answers every connection with what it sends."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        host, port = self._listening.getsockname()
        self.address = f"{host}:{port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer:
            try:
                while chunk := peer.recv(1 << 16):
                    peer.sendall(chunk)
            except ConnectionError:
                pass

    def close(self) -> None:
        """Stop listening; fine when it has stopped."""
        if self._listening.fileno() >= 0:
            self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.address) as opened:
        yield opened


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), PATIENCE_S)


def said(peer: socket.socket, word: bytes) -> bytes:
    peer.sendall(word)
    return exactly(peer, len(word))


def exactly(peer: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = peer.recv(size - len(received))
        if not chunk:
            raise ConnectionError("closed")
        received += chunk
    return received


def test_it_passes_bytes_in_both_directions_on_many_connections(proxy: FaultProxy) -> None:
    with connect(proxy) as one, connect(proxy) as two:
        assert said(one, b"one") == b"one"
        assert said(two, b"two") == b"two"


def test_much_data_passes_unchanged(proxy: FaultProxy) -> None:
    sent = bytes(range(256)) * 20_000
    with connect(proxy) as peer:
        sender = threading.Thread(target=peer.sendall, args=(sent,))
        sender.start()
        assert exactly(peer, len(sent)) == sent
        sender.join()


def test_a_cut_drops_connections_refuses_new_ones_and_keeps_the_port(proxy: FaultProxy) -> None:
    address = proxy.address
    with connect(proxy) as peer:
        assert said(peer, b"x") == b"x"
        proxy.cut()
        with pytest.raises(ConnectionError):
            said(peer, b"y")
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.mend()
    assert proxy.address == address
    with connect(proxy) as peer:
        assert said(peer, b"z") == b"z"


def test_a_second_cut_and_a_second_mend_change_nothing(proxy: FaultProxy) -> None:
    proxy.cut()
    proxy.cut()
    proxy.mend()
    proxy.mend()
    with connect(proxy) as peer:
        assert said(peer, b"z") == b"z"


def test_a_black_hole_swallows_until_it_is_mended(proxy: FaultProxy) -> None:
    with connect(proxy) as old:
        assert said(old, b"x") == b"x"
        proxy.black_hole()
        with connect(proxy) as new:
            for peer in (old, new):
                peer.settimeout(SILENCE_S)
                with pytest.raises(TimeoutError):
                    said(peer, b"y")
            proxy.mend()
            for peer in (old, new):
                peer.settimeout(PATIENCE_S)
                assert exactly(peer, 1) == b"y"


def test_a_delay_holds_each_direction_and_keeps_the_order(proxy: FaultProxy) -> None:
    with connect(proxy) as peer:
        proxy.delay(0.1)
        began = time.monotonic()
        peer.sendall(b"a")
        peer.sendall(b"b")
        assert exactly(peer, 2) == b"ab"
        assert time.monotonic() - began >= 0.2
        proxy.delay(0)
        assert said(peer, b"c") == b"c"


def test_a_target_that_is_gone_closes_the_connection(proxy: FaultProxy, echo: Echo) -> None:
    with connect(proxy) as peer:
        assert said(peer, b"x") == b"x"
    echo.close()
    with connect(proxy) as peer, pytest.raises(ConnectionError):
        said(peer, b"x")


def test_an_end_of_the_stream_reaches_the_other_side_after_the_data(proxy: FaultProxy) -> None:
    with connect(proxy) as peer:
        proxy.delay(0.05)
        peer.sendall(b"last")
        assert exactly(peer, 4) == b"last"
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""


def test_closing_twice_is_fine(echo: Echo) -> None:
    proxy = FaultProxy(echo.address)
    proxy.close()
    proxy.close()
