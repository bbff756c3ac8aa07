"""Certificate authorities for tests, and what they vouch for, as PEM: brokers and clients of a cluster.

Strimzi has one authority for brokers and another for clients; so have tests, or a client that trusts the
wrong one would pass.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK: Final = "127.0.0.1"
VALID: Final = timedelta(days=1)
"""In both directions from now: longer than any test, and past every difference of clocks."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key in PEM; the key as PKCS #8, which is all that Kafka reads."""

    certificate: bytes
    key: bytes

    @property
    def keystore(self) -> bytes:
        """Both in one file, as Kafka's `ssl.keystore.type=PEM` wants them (KIP-651)."""
        return self.key + self.certificate


class Authority:
    """Vouches for names. Its own key never leaves it."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def make(cls, name: str) -> Self:
        """A new one, which vouches for itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _built(name, key.public_key(), issuer=name)
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        return cls(built.add_extension(constraints, critical=True).sign(key, hashes.SHA256()), key)

    @property
    def certificate(self) -> bytes:
        """What others check with, in PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *, address: str | None = None) -> Issued:
        """A certificate with the subject `CN=name`; for a server at this IP address, if one is given."""
        key = ec.generate_private_key(ec.SECP256R1())
        built = _built(name, key.public_key(), issuer=common_name(self._certificate))
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            built = built.add_extension(names, critical=False)
        return Issued(
            built.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def common_name(certificate: x509.Certificate) -> str:
    """The CN of its subject."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _built(name: str, key: ec.EllipticCurvePublicKey, *, issuer: str) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
    )
