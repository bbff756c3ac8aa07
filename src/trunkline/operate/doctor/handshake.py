"""A TLS handshake of our own with a broker, with the files that librdkafka is given: it says why not."""

import os
import socket
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)

from trunkline.operate.doctor.certificates import KEYSTORE, Unusable, open_key
from trunkline.operate.doctor.deadline import within
from trunkline.operate.doctor.greeting import GREETING_SECONDS, Greeting, NotKafka, greet, greet_in_the_clear
from trunkline.operate.doctor.reach import Address

HANDSHAKE_SECONDS: Final = 5.0
SHAKE_SECONDS: Final = 4 * HANDSHAKE_SECONDS
"""Of all that is tried at one address; a socket's own time-out begins anew with each byte that drips in."""

HOST_MISMATCH: Final = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

EXPIRED, NOT_YET_VALID = 10, 9
UNTRUSTED: Final = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes for a chain that does not end at one of our authorities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaken:
    """How it went.

    `trouble` is empty when the handshake was made and the broker has answered through it. `verify_code` is
    OpenSSL's where the server's certificate is the trouble. `certificate` is what the server shows, in DER,
    if it shows one; `verified` is whether anything checked it. `in_the_clear` says that Kafka answers at this
    port without TLS; `cut_off` that the server broke the connection off right after the handshake.
    """

    address: Address
    trouble: str = ""
    verify_code: int = 0
    version: str = ""
    certificate: bytes | None = None
    in_the_clear: bool = False
    cut_off: bool = False
    verified: bool = False
    greeting: Greeting | None = None


def context(security: Mapping[str, str], *, show: bool) -> ssl.SSLContext:
    """As librdkafka checks servers and, with `show`, shows its own certificate.

    Raises `Unusable` for files that OpenSSL does not take.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = security.get("ssl.endpoint.identification.algorithm", "https") == "https"
    if security.get("enable.ssl.certificate.verification", "true").lower() == "false":
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    try:
        _trust(made, security)
        if show:
            _show(made, security)
    except (OSError, ValueError) as error:
        raise Unusable(f"OpenSSL does not take the files of ssl.*: {_readable(error)}") from error
    return made


def shake(address: Address, made: ssl.SSLContext) -> Shaken:
    """Connect, make the handshake, ask what the broker speaks.

    Raises nothing, and ends within `SHAKE_SECONDS`.
    """
    try:
        return within(SHAKE_SECONDS, lambda: _shake(address, made))
    except TimeoutError as error:
        return Shaken(address=address, trouble=str(error))


def _shake(address: Address, made: ssl.SSLContext) -> Shaken:
    version, shown = "", None
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=HANDSHAKE_SECONDS) as plain,
            made.wrap_socket(plain, server_hostname=address.host) as stream,
        ):
            version, shown = stream.version() or "", stream.getpeercert(binary_form=True)
            # With TLS 1.3 a server refuses a client's certificate only after the handshake.
            greeting = greet(stream)
    except ssl.SSLCertVerificationError as error:
        return Shaken(
            address=address,
            trouble=error.verify_message,
            verify_code=error.verify_code,
            certificate=_unverified(address),
        )
    except (OSError, NotKafka) as error:
        clear = not version and _speaks_in_the_clear(address)
        return Shaken(
            address=address,
            trouble=_readable(error),
            version=version,
            certificate=shown,
            in_the_clear=clear,
            cut_off=bool(version) and isinstance(error, OSError),
        )
    return Shaken(
        address=address,
        version=version,
        certificate=shown,
        verified=made.verify_mode is ssl.CERT_REQUIRED,
        greeting=greeting,
    )


def greet_in_tls(address: Address, security: Mapping[str, str]) -> Greeting:
    """What a broker speaks, asked through TLS. Raises `NotKafka` and `Unusable`."""
    shaken = shake(address, context(security, show=True))
    if shaken.greeting is None:
        raise NotKafka(shaken.trouble)
    return shaken.greeting


def speaks_tls(address: Address) -> bool:
    """Whether a server at this address makes a TLS handshake in time, with whatever certificate."""
    try:
        return within(HANDSHAKE_SECONDS, lambda: _unverified(address)) is not None
    except TimeoutError:
        return False


def _speaks_in_the_clear(address: Address) -> bool:
    try:
        greet_in_the_clear(address.host, address.port)
    except (OSError, NotKafka):
        return False
    return True


def _unverified(address: Address) -> bytes | None:
    """The certificate that a server shows to anybody."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with (
        suppress(OSError),
        socket.create_connection((address.host, address.port), timeout=GREETING_SECONDS) as plain,
        trusting.wrap_socket(plain, server_hostname=address.host) as stream,
    ):
        return stream.getpeercert(binary_form=True)
    return None


def _trust(made: ssl.SSLContext, security: Mapping[str, str]) -> None:
    location = security.get("ssl.ca.location", "")
    if text := security.get("ssl.ca.pem"):
        made.load_verify_locations(cadata=text)
    elif location and Path(location).is_dir():
        made.load_verify_locations(capath=location)
    elif location and location != "probe":
        made.load_verify_locations(cafile=location)
    else:
        made.load_default_certs()


def _show(made: ssl.SSLContext, security: Mapping[str, str]) -> None:
    password = security.get("ssl.key.password", "")
    chain, key = security.get("ssl.certificate.location"), security.get("ssl.key.location")
    if KEYSTORE in security:
        _show_keystore(made, security)
    elif chain and key:
        # Without a password OpenSSL would ask on the terminal for one.
        made.load_cert_chain(chain, key, password)
    else:
        text = security.get("ssl.key.pem", "").encode() or _read(key)
        opened = open_key(text, password)
        _load(made, security.get("ssl.certificate.pem", "").encode() or _read(chain), opened)


def _show_keystore(made: ssl.SSLContext, security: Mapping[str, str]) -> None:
    stored = security.get("ssl.keystore.password", "").encode()
    found = pkcs12.load_pkcs12(_read(security[KEYSTORE]), stored)
    if found.cert is None or found.key is None:
        raise ValueError(f"{KEYSTORE} holds no certificate with its key")
    chain = (found.cert, *found.additional_certs)
    _load(made, b"".join(one.certificate.public_bytes(Encoding.PEM) for one in chain), found.key)


def _load(made: ssl.SSLContext, chain: bytes, key: PrivateKeyTypes) -> None:
    """Python takes a chain from files only: what is not in one goes through ours, with a sealed key."""
    password = os.urandom(16).hex()
    sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain.rstrip() + b"\n" + sealed)
        file.flush()
        made.load_cert_chain(file.name, password=password)


def _read(name: str | None) -> bytes:
    return Path(name).read_bytes() if name else b""


def _readable(error: Exception) -> str:
    """OpenSSL's reason without its place in the source."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return f"no answer within {HANDSHAKE_SECONDS:g} s"
    return getattr(error, "strerror", None) or str(error)
