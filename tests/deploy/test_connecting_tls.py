"""The handshake of a pod: told by the rendered variables, librdkafka checks the broker and shows its user."""

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from queue import Empty, Queue

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trunkline.cli import _connection
from trunkline.client.config import admin_config
from trunkline.client.kafka import Admin
from trunkline.deploy import connecting
from trunkline.errors import TrunklineError
from trunkline.testing.clusters import a_cluster

SECONDS_MAX = 20.0


@dataclass(frozen=True)
class Authority:
    """A certificate authority, as Strimzi has one for brokers and another for clients."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, name: str) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _built(name, key.public_key(), issuer=name, is_authority=True).sign(
            key, hashes.SHA256()
        )
        return cls(certificate, key)

    def issue(self, name: str, directory: Path, stem: str) -> None:
        """Writes `STEM.crt` and `STEM.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = _common_name(self.certificate)
        built = _built(name, key.public_key(), issuer=issuer, is_authority=False)
        certificate = built.sign(self.key, hashes.SHA256())
        (directory / f"{stem}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / f"{stem}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def write(self, file: Path) -> None:
        file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))


def _common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _built(
    name: str, key: ec.EllipticCurvePublicKey, *, issuer: str, is_authority: bool
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )


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
                    self.names.put(_common_name(x509.load_der_x509_certificate(shown)))
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
    brokers.issue("broker", tmp_path / "broker", "broker")
    brokers.write(tmp_path / "cluster-ca/ca.crt")
    clients.issue("audit-service", tmp_path / "user", "user")
    clients.write(tmp_path / "user/ca.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "broker/broker.crt", tmp_path / "broker/broker.key")
    context.load_verify_locations(tmp_path / "user/ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    made = Handshakes(context)
    yield made
    made.close()


def shown_name(listener: Handshakes, directory: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whom the listener was shown by a client with the rendered variables."""
    monkeypatch.setattr(connecting, "CLUSTER_CA_DIRECTORY", str(directory / "cluster-ca"))
    monkeypatch.setattr(connecting, "USER_DIRECTORY", str(directory / "user"))
    for name, value in connecting.variables("audit-service", a_cluster()).items():
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
