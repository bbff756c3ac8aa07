"""What an authority vouches for is what TLS itself believes."""

import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509

from trunkline.testing.certificates import LOOPBACK, Authority, Issued, common_name


def context(kind: int, issued: Issued, trusted: Authority, directory: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(kind)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=trusted.certificate.decode())
    file = directory / f"{kind}.pem"
    file.write_bytes(issued.keystore)
    made.load_cert_chain(file)
    return made


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, *, host: str) -> str:
    """Whom the server is shown, by the client's own name."""
    ours, theirs = socket.socketpair()
    shown: list[bytes | None] = []

    def serve() -> None:
        with ours:
            try:
                with server.wrap_socket(ours, server_side=True) as shaken:
                    shown.append(shaken.getpeercert(binary_form=True))
            except ssl.SSLError:
                return

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    with theirs, client.wrap_socket(theirs, server_hostname=host) as shaken:
        # In TLS 1.3 a client has finished before its certificate is looked at.
        shaken.recv(1)
    serving.join()
    assert shown[0] is not None
    return common_name(x509.load_der_x509_certificate(shown[0]))


def test_a_client_is_known_by_its_common_name_and_a_server_by_its_address(tmp_path: Path) -> None:
    servers, clients = Authority.make("cluster-ca"), Authority.make("clients-ca")
    server = context(ssl.PROTOCOL_TLS_SERVER, servers.issue("broker", address=LOOPBACK), clients, tmp_path)
    client = context(ssl.PROTOCOL_TLS_CLIENT, clients.issue("audit-service"), servers, tmp_path)
    assert client.check_hostname
    assert handshake(server, client, host=LOOPBACK) == "audit-service"


def test_a_server_at_another_address_is_not_believed(tmp_path: Path) -> None:
    servers, clients = Authority.make("cluster-ca"), Authority.make("clients-ca")
    server = context(ssl.PROTOCOL_TLS_SERVER, servers.issue("broker", address="127.0.0.2"), clients, tmp_path)
    client = context(ssl.PROTOCOL_TLS_CLIENT, clients.issue("audit-service"), servers, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
        handshake(server, client, host=LOOPBACK)


def test_an_authority_of_the_same_name_is_another_one(tmp_path: Path) -> None:
    servers, clients = Authority.make("cluster-ca"), Authority.make("clients-ca")
    server = context(ssl.PROTOCOL_TLS_SERVER, servers.issue("broker", address=LOOPBACK), clients, tmp_path)
    stranger = Authority.make("clients-ca").issue("audit-service")
    client = context(ssl.PROTOCOL_TLS_CLIENT, stranger, servers, tmp_path)
    with pytest.raises(ssl.SSLError):
        handshake(server, client, host=LOOPBACK)
