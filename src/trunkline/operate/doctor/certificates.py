"""The files behind `ssl.*`: what is in them, whether they belong together, and how long they are good for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates
from cryptography.x509.oid import NameOID

from trunkline.errors import TrunklineError

DAYS_LEFT_MIN: Final = 14
"""Fewer are a warning. Strimzi renews 30 days before the end, so that this means it has not."""

CA, CERTIFICATE, KEY = "ssl.ca", "ssl.certificate", "ssl.key"
KEYSTORE: Final = "ssl.keystore.location"


class Unusable(TrunklineError):  # noqa: N818 - named for what the file is
    """A file that the configuration names, or what is in it, is of no use. The text says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is of interest of one. Names are as RFC 4514 writes them; `hosts` are DNS names and addresses."""

    subject: str
    common_name: str
    issuer: str
    hosts: tuple[str, ...]
    begins: datetime
    ends: datetime
    public_key: bytes

    def days_left(self, now: datetime) -> float:
        """Negative when it has ended."""
        return (self.ends - now).total_seconds() / 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the client shows. `public_key` is that of its private key; `key_error` why it cannot be read."""

    certificate: Certificate
    public_key: bytes | None
    key_error: str = ""

    @property
    def matches(self) -> bool:
        """Whether the key is the certificate's."""
        return self.public_key == self.certificate.public_key


def from_der(data: bytes) -> Certificate:
    """The certificate that a server has shown. Raises `Unusable`."""
    try:
        return _read(x509.load_der_x509_certificate(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"the server's certificate cannot be read: {error}") from error


def authorities(security: Mapping[str, str]) -> tuple[Certificate, ...] | None:
    """The certificates that servers are checked with; None where the system's are used. Raises `Unusable`."""
    location = security.get(f"{CA}.location", "")
    if location == "probe" or (location and Path(location).is_dir()):
        return None
    text = _text(security, CA)
    return None if text is None else _certificates(text, _source(security, CA))


def identity(security: Mapping[str, str]) -> Identity | None:
    """What the client shows to the server, if it shows anything. Raises `Unusable`."""
    if KEYSTORE in security:
        return _of_keystore(security)
    text = _text(security, CERTIFICATE)
    if text is None:
        return None
    certificate = _certificates(text, _source(security, CERTIFICATE))[0]
    try:
        public_key = _public_key(security)
    except Unusable as error:
        return Identity(certificate=certificate, public_key=None, key_error=str(error))
    return Identity(certificate=certificate, public_key=public_key)


def open_key(text: bytes, password: str) -> PrivateKeyTypes:
    """A private key in PEM. As OpenSSL does, takes no offence at a password that is not needed.

    Raises `ValueError` and `UnsupportedAlgorithm`.
    """
    try:
        return load_pem_private_key(text, password.encode() or None)
    except TypeError as error:
        if password:
            return load_pem_private_key(text, None)
        raise ValueError(str(error)) from error


def is_clients_ca(authority: Sequence[Certificate], server: Certificate, client: Certificate | None) -> bool:
    """Whether the CA is the one that signs clients: by Strimzi's name, or it signed ours and not theirs."""
    subjects = {one.subject for one in authority}
    if server.issuer in subjects:
        return False
    return any("clients-ca" in one.common_name for one in authority) or (
        client is not None and client.issuer in subjects
    )


def _certificates(text: bytes, source: str) -> tuple[Certificate, ...]:
    try:
        return tuple(_read(one) for one in x509.load_pem_x509_certificates(text))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"{source}: no certificate in PEM ({_first_line(error)})") from error


def _read(found: x509.Certificate) -> Certificate:
    common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        subject=found.subject.rfc4514_string(),
        common_name=str(common[0].value) if common else "",
        issuer=found.issuer.rfc4514_string(),
        hosts=_hosts(found),
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        public_key=found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def _hosts(found: x509.Certificate) -> tuple[str, ...]:
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )


def _public_key(security: Mapping[str, str]) -> bytes:
    text = _text(security, KEY)
    if text is None:
        raise Unusable("there is a certificate and no private key; set ssl.key.location")
    try:
        key = open_key(text, security.get("ssl.key.password", ""))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"{_source(security, KEY)}: {_first_line(error)}; check ssl.key.password") from error
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _of_keystore(security: Mapping[str, str]) -> Identity:
    name = security[KEYSTORE]
    password = security.get("ssl.keystore.password", "")
    try:
        found: PKCS12KeyAndCertificates = pkcs12.load_pkcs12(_file(KEYSTORE, name), password.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"{KEYSTORE} {name}: {_first_line(error)}; check ssl.keystore.password") from error
    if found.cert is None or found.key is None:
        raise Unusable(f"{KEYSTORE} {name}: holds no certificate with its key")
    return Identity(
        certificate=_read(found.cert.certificate),
        public_key=found.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )


def _text(security: Mapping[str, str], what: str) -> bytes | None:
    """The PEM of a property that may be given as a file or as a text."""
    if text := security.get(f"{what}.pem"):
        return text.encode()
    name = security.get(f"{what}.location")
    return _file(f"{what}.location", name) if name else None


def _source(security: Mapping[str, str], what: str) -> str:
    name = security.get(f"{what}.location")
    return f"{what}.pem" if security.get(f"{what}.pem") else f"{what}.location {name}"


def _file(title: str, name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Unusable(f"{title} {name}: {error.strerror}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
