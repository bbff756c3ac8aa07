"""The files behind `ssl.*`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from trunkline.operate.doctor.certificates import Unusable, authorities, identity, is_clients_ca
from trunkline.testing.certificates import Authority, Issued

CLUSTER, CLIENTS = Authority.make("cluster-ca v0"), Authority.make("clients-ca v0")
USER = CLIENTS.issue("audit-service")


def files(directory: Path, issued: Issued = USER, key: bytes | None = None) -> dict[str, str]:
    (directory / "user.crt").write_bytes(issued.certificate)
    (directory / "user.key").write_bytes(key or issued.key)
    return {
        "ssl.certificate.location": str(directory / "user.crt"),
        "ssl.key.location": str(directory / "user.key"),
    }


def test_a_pair_is_read_and_belongs_together(tmp_path: Path) -> None:
    found = identity(files(tmp_path))
    assert found is not None
    assert found.certificate.subject == "CN=audit-service"
    assert found.certificate.issuer == "CN=clients-ca v0"
    assert found.matches
    assert 0 < found.certificate.days_left(datetime.now(UTC)) <= 1
    assert found.certificate.days_left(datetime.now(UTC) + timedelta(days=2)) < 0


def test_texts_do_as_well_as_files() -> None:
    found = identity({"ssl.certificate.pem": USER.certificate.decode(), "ssl.key.pem": USER.key.decode()})
    assert found is not None
    assert found.matches


def test_another_users_key_does_not_match(tmp_path: Path) -> None:
    found = identity(files(tmp_path, key=CLIENTS.issue("billing-service").key))
    assert found is not None
    assert not found.matches


def test_a_key_store_is_read_with_its_password(tmp_path: Path) -> None:
    store = tmp_path / "user.p12"
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"user",
            load_pem_private_key(USER.key, None),  # type: ignore[arg-type]  # of any kind of key
            x509.load_pem_x509_certificate(USER.certificate),
            None,
            BestAvailableEncryption(b"secret"),
        )
    )
    found = identity({"ssl.keystore.location": str(store), "ssl.keystore.password": "secret"})
    assert found is not None
    assert found.matches
    with pytest.raises(Unusable, match=r"check ssl\.keystore\.password"):
        identity({"ssl.keystore.location": str(store), "ssl.keystore.password": "wrong"})


def test_a_key_that_cannot_be_read_is_said_beside_the_certificate(tmp_path: Path) -> None:
    encrypted = load_pem_private_key(USER.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    security = files(tmp_path, key=encrypted)
    locked = identity(security)
    assert locked is not None
    assert "check ssl.key.password" in locked.key_error
    opened = identity({**security, "ssl.key.password": "secret"})
    assert opened is not None
    assert opened.matches
    (tmp_path / "user.key").unlink()
    gone = identity(security)
    assert gone is not None
    assert "No such file" in gone.key_error


def test_a_password_that_no_key_needs_does_no_harm(tmp_path: Path) -> None:
    found = identity({**files(tmp_path), "ssl.key.password": "secret"})
    assert found is not None
    assert found.matches


def test_without_a_certificate_there_is_no_identity() -> None:
    assert identity({}) is None


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n"])
def test_a_ca_file_without_a_certificate_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ca.crt"
    file.write_bytes(content)
    with pytest.raises(Unusable, match=f"{file}: no certificate in PEM"):
        authorities({"ssl.ca.location": str(file)})


def test_a_ca_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="No such file or directory"):
        authorities({"ssl.ca.location": str(tmp_path / "ca.crt")})


def test_the_systems_authorities_and_directories_are_openssls_business(tmp_path: Path) -> None:
    assert authorities({}) is None
    assert authorities({"ssl.ca.location": str(tmp_path)}) is None
    assert authorities({"ssl.ca.location": "probe"}) is None


def test_the_clients_ca_is_known_by_name_or_by_what_it_signed() -> None:
    broker = identity(_texts(CLUSTER.issue("broker")))
    user = identity(_texts(USER))
    assert broker is not None
    assert user is not None
    clients = authorities({"ssl.ca.pem": CLIENTS.certificate.decode()})
    cluster = authorities({"ssl.ca.pem": CLUSTER.certificate.decode()})
    other = authorities({"ssl.ca.pem": Authority.make("other").certificate.decode()})
    assert clients is not None
    assert cluster is not None
    assert other is not None
    assert is_clients_ca(clients, broker.certificate, None)
    assert is_clients_ca(clients, broker.certificate, user.certificate)
    assert not is_clients_ca(cluster, broker.certificate, user.certificate)
    assert not is_clients_ca(other, broker.certificate, user.certificate)


def _texts(issued: Issued) -> dict[str, str]:
    return {"ssl.certificate.pem": issued.certificate.decode(), "ssl.key.pem": issued.key.decode()}
