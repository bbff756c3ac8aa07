"""What a port speaks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.operate.doctor import greeting
from trunkline.operate.doctor.greeting import NotKafka, greet, greet_in_the_clear
from trunkline.testing.processes import BrokerProcess

API_VERSIONS = 18


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port that answers whoever asks with these bytes, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def test_a_broker_tells_its_apis(broker: BrokerProcess) -> None:
    host, _, port = broker.address.rpartition(":")
    found = greet_in_the_clear(host, int(port))
    assert found.apis[API_VERSIONS] >= 3
    assert found.features == {}


def test_an_answer_that_drips_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte alone comes in time, and all of them would take hours."""
    monkeypatch.setattr(greeting, "GREETING_SECONDS", 0.3)
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def drip() -> None:
        with suppress(OSError):
            theirs.sendall((60_000).to_bytes(4))
            while not ended.wait(0.05):
                theirs.sendall(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    begun = time.monotonic()
    with ours, theirs:
        with pytest.raises(TimeoutError):
            greet(ours)
        took = time.monotonic() - begun
        ended.set()
    thread.join(5)
    assert took < 2


def test_a_tls_alert_is_known_as_such() -> None:
    with answering(bytes.fromhex("15030300020246")) as port, pytest.raises(NotKafka) as caught:
        greet_in_the_clear("127.0.0.1", port)
    assert caught.value.tls


def test_a_web_server_is_no_broker() -> None:
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port,
        pytest.raises(NotKafka, match="not Kafka's protocol"),
    ):
        greet_in_the_clear("127.0.0.1", port)


def test_who_hangs_up_is_no_broker() -> None:
    with answering(b"") as port, pytest.raises(NotKafka, match="hangs up"):
        greet_in_the_clear("127.0.0.1", port)


class Canned:
    """A connection with these bytes in it."""

    def __init__(self, answer: bytes) -> None:
        self._left = answer

    def settimeout(self, seconds: float, /) -> None:
        assert seconds > 0

    def sendall(self, data: bytes, /) -> None:
        assert data

    def recv(self, size: int, /) -> bytes:
        given, self._left = self._left[:size], self._left[size:]
        return given


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200), st.integers(min_value=1, max_value=200))
def test_any_answer_is_a_greeting_or_no_kafka(body: bytes, size: int) -> None:
    answer = size.to_bytes(4, "big") + (1).to_bytes(4, "big") + body
    try:
        greet(Canned(answer))
    except NotKafka:
        return
