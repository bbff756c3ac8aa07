"""The handshake of a pod: told by the rendered variables, librdkafka checks the broker and shows its user."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue

import pytest
from cryptography import x509

from trunkline.cli import _connection
from trunkline.client.config import admin_config
from trunkline.client.kafka import Admin
from trunkline.deploy import connecting
from trunkline.errors import TrunklineError
from trunkline.testing.certificates import LOOPBACK, Authority, Issued, common_name
from trunkline.testing.clusters import a_cluster

SECONDS_MAX = 20.0


class Handshakes:
    """A listener that asks for certificates and tells whose it was shown; it speaks no Kafka."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.names: Queue[str] = Queue()
        self._thread = threading.Thread(target=self._serve, name="handshakes", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connected, _ = self._listening.accept()
            except OSError:
                return
            with connected:
                try:
                    with self._context.wrap_socket(connected, server_side=True) as shaken:
                        shown = shaken.getpeercert(binary_form=True)
                    assert shown is not None
                    self.names.put(common_name(x509.load_der_x509_certificate(shown)))
                except OSError as error:
                    self.names.put(f"refused: {error}")

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def brokers() -> Authority:
    return Authority.make("cluster-ca")


@pytest.fixture
def listener(tmp_path: Path, brokers: Authority) -> Iterator[Handshakes]:
    """A broker's listener, and the Secrets of audit-service mounted where its pod has them."""
    clients = Authority.make("clients-ca")
    for name in ("broker", "cluster-ca", "user"):
        (tmp_path / name).mkdir()
    write(brokers.issue("broker", address=LOOPBACK), tmp_path / "broker", "broker")
    (tmp_path / "cluster-ca/ca.crt").write_bytes(brokers.certificate)
    write(clients.issue("audit-service"), tmp_path / "user", "user")
    (tmp_path / "user/ca.crt").write_bytes(clients.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "broker/broker.crt", tmp_path / "broker/broker.key")
    context.load_verify_locations(tmp_path / "user/ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    made = Handshakes(context)
    yield made
    made.close()


def write(issued: Issued, directory: Path, stem: str) -> None:
    (directory / f"{stem}.crt").write_bytes(issued.certificate)
    (directory / f"{stem}.key").write_bytes(issued.key)


def shown_name(listener: Handshakes, directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whom the listener was shown by a client with the rendered variables."""
    places = connecting.Places(
        bootstrap_servers=listener.address,
        cluster_ca=str(directory / "cluster-ca"),
        user=str(directory / "user"),
    )
    for name, value in connecting.variables("audit-service", a_cluster(), places).items():
        monkeypatch.setenv(name, value)
    connection = _connection.connection(listener.address)

    def ask() -> None:
        with pytest.raises(TrunklineError):
            Admin(admin_config(connection)).describe(["config.change.events"])

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        return listener.names.get(timeout=SECONDS_MAX)
    except Empty:
        return "nobody"
    finally:
        asking.join(SECONDS_MAX)


def test_the_broker_is_shown_the_services_certificate(
    listener: Handshakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown_name(listener, tmp_path, monkeypatch) == "audit-service"


def test_a_broker_of_another_authority_is_shown_nothing(
    listener: Handshakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clients' CA, which is in the user's Secret under the same name.
    (tmp_path / "cluster-ca/ca.crt").write_bytes((tmp_path / "user/ca.crt").read_bytes())
    assert shown_name(listener, tmp_path, monkeypatch).startswith("refused: ")
