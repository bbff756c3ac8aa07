"""When a loaded client certificate ends, as Prometheus is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry

from trunkline.cli._certificate import METRIC, tell_expiry
from trunkline.errors import InvalidInput

ENDS = datetime(2027, 3, 1, 12, tzinfo=UTC)


def a_certificate() -> bytes:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "audit-service")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ENDS - timedelta(days=365))
        .not_valid_after(ENDS)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def test_the_end_of_the_certificate_is_told(tmp_path: Path) -> None:
    file = tmp_path / "user.crt"
    file.write_bytes(a_certificate())
    registry = CollectorRegistry()
    tell_expiry(registry, {"ssl.certificate.location": str(file)})
    assert registry.get_sample_value(METRIC) == ENDS.timestamp()


def test_who_has_no_certificate_has_no_such_metric() -> None:
    registry = CollectorRegistry()
    tell_expiry(registry, {"security.protocol": "SASL_SSL"})
    assert list(registry.collect()) == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_holds_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "user.crt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"user\.crt.*TRUNKLINE_SSL_CERTIFICATE_LOCATION"):
        tell_expiry(CollectorRegistry(), {"ssl.certificate.location": str(file)})
