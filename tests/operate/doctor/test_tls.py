"""TLS with real handshakes: what is wrong on either side is told apart."""

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from trunkline.operate.doctor import handshake
from trunkline.operate.doctor.findings import Finding, Verdict
from trunkline.operate.doctor.reach import Address
from trunkline.operate.doctor.tls import examined, in_the_clear
from trunkline.testing.certificates import LOOPBACK, Authority, Issued
from trunkline.testing.processes import BrokerProcess
from trunkline.testing.tls_front import TlsFront

CLUSTER, CLIENTS = Authority.make("cluster-ca v0"), Authority.make("clients-ca v0")
SERVER = CLUSTER.issue("kafka-0", address=LOOPBACK)
USER = CLIENTS.issue("audit-service")
NOW = datetime.now(UTC)
SSL = {"security.protocol": "SSL", "ssl.ca.pem": CLUSTER.certificate.decode()}


def shown(issued: Issued, key: Issued | None = None) -> dict[str, str]:
    return {
        "ssl.certificate.pem": issued.certificate.decode(),
        "ssl.key.pem": (key or issued).key.decode(),
    }


@pytest.fixture
def front(broker: BrokerProcess) -> Iterator[Callable[..., Address]]:
    """Puts TLS before the embedded broker, under a certificate of the test's choice."""
    with ExitStack() as opened:

        def start(server: Issued = SERVER, clients_ca: bytes | None = None) -> Address:
            running = opened.enter_context(TlsFront(broker.address, server=server, clients_ca=clients_ca))
            return Address(host=LOOPBACK, port=running.port)

        yield start


@pytest.fixture
def clear(broker: BrokerProcess) -> Address:
    host, _, port = broker.address.rpartition(":")
    return Address(host=host, port=int(port))


def last(security: Mapping[str, str], address: Address, now: datetime = NOW) -> Finding:
    *_, found = examined(security, [address], now=now)
    return found


def self_made(*, ends: timedelta) -> tuple[Issued, str]:
    """A server's certificate that vouches for itself and ends then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(Encoding.PEM)
    return Issued(pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())), pem.decode()


def test_a_verified_server_is_told_with_its_days(front: Callable[..., Address]) -> None:
    found = last(SSL, front())
    assert found.verdict is Verdict.WARNING  # the tests' certificates last for a day
    assert "TLSv1.3 with CN=kafka-0, verified for 127.0.0.1: 1.0 days left" in found.text


def test_a_long_lasting_certificate_is_ok(front: Callable[..., Address]) -> None:
    found = last(SSL, front(), now=NOW - timedelta(days=100))
    assert found.verdict is Verdict.OK
    assert "101 days left" in found.text


def test_a_client_certificate_is_shown_and_taken(front: Callable[..., Address]) -> None:
    address = front(clients_ca=CLIENTS.certificate)
    ca, own, server = examined({**SSL, **shown(USER)}, [address], now=NOW - timedelta(days=100))
    assert [ca.verdict, own.verdict, server.verdict] == [Verdict.OK] * 3
    assert own.text.startswith("CN=audit-service, with its key")


def stored(directory: Path) -> dict[str, str]:
    """The user's certificate and key in a key store with a password."""
    file = directory / "user.p12"
    key = load_pem_private_key(USER.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate(USER.certificate)
    locked = BestAvailableEncryption(b"secret")
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"user", key, certificate, None, locked))
    return {"ssl.keystore.location": str(file), "ssl.keystore.password": "secret"}


def filed(directory: Path) -> dict[str, str]:
    """The same in two files."""
    (directory / "user.crt").write_bytes(USER.certificate)
    (directory / "user.key").write_bytes(USER.key)
    return {
        "ssl.certificate.location": str(directory / "user.crt"),
        "ssl.key.location": str(directory / "user.key"),
    }


@pytest.mark.parametrize("given", [stored, filed])
def test_files_and_key_stores_are_shown_as_well(
    front: Callable[..., Address], tmp_path: Path, given: Callable[[Path], dict[str, str]]
) -> None:
    address = front(clients_ca=CLIENTS.certificate)
    found = last({**SSL, **given(tmp_path)}, address, now=NOW - timedelta(days=100))
    assert found.verdict is Verdict.OK


def test_without_a_certificate_where_one_is_wanted(front: Callable[..., Address]) -> None:
    found = last(SSL, front(clients_ca=CLIENTS.certificate))
    assert found.verdict is Verdict.FAILED
    assert "wants a certificate and the client shows none" in found.text


def test_a_certificate_of_the_wrong_ca_is_refused(front: Callable[..., Address]) -> None:
    stranger = Authority.make("other").issue("audit-service")
    found = last({**SSL, **shown(stranger)}, front(clients_ca=CLIENTS.certificate))
    assert found.verdict is Verdict.FAILED
    assert "refuses the client's certificate" in found.text
    assert "signed by CN=other" in found.remedy


def test_a_key_of_somebody_else_is_found_before_it_is_shown(front: Callable[..., Address]) -> None:
    other = CLIENTS.issue("billing-service")
    _, own, _ = examined({**SSL, **shown(USER, other)}, [front()], now=NOW)
    assert own.verdict is Verdict.FAILED
    assert "not that of CN=audit-service" in own.text


def test_the_clients_ca_in_place_of_the_clusters_is_told(front: Callable[..., Address]) -> None:
    security = {**SSL, "ssl.ca.pem": CLIENTS.certificate.decode(), **shown(USER)}
    found = last(security, front(clients_ca=CLIENTS.certificate))
    assert found.verdict is Verdict.FAILED
    assert "ssl.ca is the CA of the clients" in found.remedy
    assert "cluster-ca-cert" in found.remedy


def test_an_unknown_ca_is_told(front: Callable[..., Address]) -> None:
    found = last({**SSL, "ssl.ca.pem": Authority.make("other").certificate.decode()}, front())
    assert found.verdict is Verdict.FAILED
    assert "CN=cluster-ca v0 is not to be trusted" in found.text
    assert "trusts CN=other" in found.remedy


def test_a_host_name_that_is_not_the_certificates_is_told(front: Callable[..., Address]) -> None:
    address = front()
    found = last(SSL, Address(host="localhost", port=address.port))
    assert found.verdict is Verdict.FAILED
    assert found.text == "the certificate is for 127.0.0.1, not localhost"


def test_unchecked_names_are_not_checked(front: Callable[..., Address]) -> None:
    address = front()
    found = last(
        {**SSL, "ssl.endpoint.identification.algorithm": "none"},
        Address(host="localhost", port=address.port),
        now=NOW - timedelta(days=100),
    )
    assert found.verdict is Verdict.OK


def test_an_unverified_server_is_a_warning(front: Callable[..., Address]) -> None:
    found = last({**SSL, "enable.ssl.certificate.verification": "false"}, front())
    assert found.verdict is Verdict.WARNING
    assert "nobody has verified" in found.text


def test_a_certificate_that_has_ended_is_told(front: Callable[..., Address]) -> None:
    server, pem = self_made(ends=-timedelta(days=3))
    found = last({**SSL, "ssl.ca.pem": pem}, front(server))
    assert found.verdict is Verdict.FAILED
    assert "has ended 3.0 days ago" in found.text


def test_a_plaintext_port_is_told_to_who_speaks_tls(clear: Address) -> None:
    found = last(SSL, clear)
    assert found.verdict is Verdict.FAILED
    assert "speaks plaintext and the client TLS" in found.text


def test_a_tls_port_is_told_to_who_speaks_plaintext(front: Callable[..., Address], clear: Address) -> None:
    found = in_the_clear({"security.protocol": "SASL_PLAINTEXT"}, front())
    assert found.verdict is Verdict.FAILED
    assert found.text == "this port speaks TLS and the client SASL_PLAINTEXT"
    assert in_the_clear({}, clear).verdict is Verdict.NOT_USED


def test_what_is_no_broker_is_told() -> None:
    assert in_the_clear({}, Address(host=LOOPBACK, port=1)).verdict is Verdict.FAILED


def test_a_port_that_never_shakes_hands_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "SHAKE_SECONDS", 0.2)
    with socket.create_server((LOOPBACK, 0)) as silent:
        begun = time.monotonic()
        found = last(SSL, Address(host=LOOPBACK, port=silent.getsockname()[1]))
    assert time.monotonic() - begun < 3
    assert found.verdict is Verdict.FAILED
    assert "no answer within 0.2 s" in found.text


def test_a_file_that_is_not_there_ends_it_with_one_finding(tmp_path: Path, clear: Address) -> None:
    (found,) = examined({**SSL, "ssl.ca.pem": "", "ssl.ca.location": str(tmp_path / "x")}, [clear], now=NOW)
    assert found.verdict is Verdict.FAILED
    assert "No such file" in found.text
