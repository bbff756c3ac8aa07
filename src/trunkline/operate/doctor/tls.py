"""What the handshakes and the files behind `ssl.*` come to."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from trunkline.operate.doctor.certificates import (
    DAYS_LEFT_MIN,
    Certificate,
    Identity,
    Unusable,
    authorities,
    from_der,
    identity,
    is_clients_ca,
)
from trunkline.operate.doctor.deadline import together
from trunkline.operate.doctor.findings import Family, Finding, failed, not_used, ok, warning
from trunkline.operate.doctor.greeting import NotKafka, greet_in_the_clear
from trunkline.operate.doctor.handshake import (
    EXPIRED,
    HOST_MISMATCH,
    NOT_YET_VALID,
    UNTRUSTED,
    Shaken,
    context,
    shake,
    speaks_tls,
)
from trunkline.operate.doctor.reach import Address

TLS: Final = Family.TLS
CA, CLIENT = "ssl.ca", "client certificate"
CLEAR_ADVICE: Final = (
    "set security.protocol (TRUNKLINE_SECURITY_PROTOCOL) to SASL_PLAINTEXT or PLAINTEXT, or use the "
    "address of the TLS listener"
)
TLS_ADVICE: Final = (
    "set security.protocol (TRUNKLINE_SECURITY_PROTOCOL) to SSL, or to SASL_SSL where there are passwords"
)
CLIENTS_CA_ADVICE: Final = (
    "ssl.ca is the CA of the clients: give the CA of the cluster, which Strimzi keeps in the Secret "
    "CLUSTER-cluster-ca-cert and not in that of the user"
)


def protocol(security: Mapping[str, str]) -> str:
    """librdkafka's `security.protocol`, in capitals."""
    return security.get("security.protocol", "plaintext").upper()


def uses_tls(security: Mapping[str, str]) -> bool:
    """Whether the configuration asks for encryption."""
    return protocol(security).endswith("SSL")


def in_the_clear(security: Mapping[str, str], address: Address) -> Finding:
    """For a configuration without TLS: whether a port takes that."""
    about, wanted = str(address), protocol(security)
    try:
        greet_in_the_clear(address.host, address.port)
    except (OSError, NotKafka) as error:
        if speaks_tls(address):
            return failed(TLS, about, f"this port speaks TLS and the client {wanted}", TLS_ADVICE)
        return failed(
            TLS, about, f"whatever listens there is no Kafka broker: {error}", "correct --bootstrap-servers"
        )
    return not_used(TLS, about, f"security.protocol is {wanted}: nothing is encrypted")


def examined(security: Mapping[str, str], reached: Sequence[Address], *, now: datetime) -> Iterator[Finding]:
    """The files, then a handshake with each of these addresses."""
    try:
        trusted, own = authorities(security), identity(security)
        # A pair that does not belong together would hide what there is to say about the servers.
        made = context(security, show=own is not None and own.matches)
    except Unusable as error:
        yield failed(TLS, "", str(error), "correct the ssl.* properties (TRUNKLINE_SSL_*), or the file")
        return
    yield from _authorities(trusted, now)
    yield from _identity(own, now)
    for shaken in together(partial(shake, address, made) for address in reached):
        yield server(shaken, trusted or (), own, now=now)


def _authorities(trusted: tuple[Certificate, ...] | None, now: datetime) -> Iterator[Finding]:
    if trusted is None:
        yield ok(TLS, CA, "the system's authorities are trusted, as no ssl.ca.location names a file")
        return
    best = max(trusted, key=lambda one: one.ends)
    yield _lasting(CA, f"trusts {', '.join(one.subject for one in trusted)}", best, now)


def _identity(own: Identity | None, now: datetime) -> Iterator[Finding]:
    if own is None:
        yield not_used(TLS, CLIENT, "the client shows none")
    elif own.key_error:
        yield failed(TLS, CLIENT, own.key_error)
    elif not own.matches:
        yield failed(
            TLS,
            CLIENT,
            f"the private key is not that of {own.certificate.subject}",
            "give ssl.key.location and ssl.certificate.location of one user",
        )
    else:
        yield _lasting(CLIENT, f"{own.certificate.subject}, with its key", own.certificate, now)


def server(shaken: Shaken, trusted: Sequence[Certificate], own: Identity | None, *, now: datetime) -> Finding:
    """One line about a broker's TLS."""
    about = str(shaken.address)
    shown = from_der(shaken.certificate) if shaken.certificate else None
    if not shaken.trouble and shown is not None:
        text = f"{shaken.version} with {shown.subject}"
        if not shaken.verified:
            return warning(
                TLS,
                about,
                f"{text}, which nobody has verified",
                "anybody may pose as the broker: remove enable.ssl.certificate.verification=false",
            )
        return _lasting(about, f"{text}, verified for {shaken.address.host}", shown, now)
    if shaken.in_the_clear:
        return failed(TLS, about, "this port speaks plaintext and the client TLS", CLEAR_ADVICE)
    if shaken.verify_code and shown is not None:
        return failed(TLS, about, *_unverified(shaken, shown, trusted, own, now))
    return failed(TLS, about, *_refused(shaken, own))


def _refused(shaken: Shaken, own: Identity | None) -> tuple[str, str]:
    """What a broker has against this client, and what to do."""
    # TLS 1.3 tells it after the handshake, by an alert, which is lost where the server hangs up at once.
    if (shaken.cut_off or "certificate" in shaken.trouble) and (own is None or not own.matches):
        return (
            f"the broker wants a certificate and the client shows none ({shaken.trouble})",
            "set ssl.certificate.location and ssl.key.location, or use the listener for passwords",
        )
    if (shaken.cut_off or "alert" in shaken.trouble) and own is not None:
        return (
            f"the broker refuses the client's certificate ({shaken.trouble})",
            f"it was signed by {own.certificate.issuer}: let the cluster's clients CA sign it, or renew it",
        )
    return f"no TLS connection: {shaken.trouble}", "check that this is a TLS listener of Kafka"


def _unverified(
    shaken: Shaken,
    shown: Certificate,
    trusted: Sequence[Certificate],
    own: Identity | None,
    now: datetime,
) -> tuple[str, str]:
    """What is wrong with a server's certificate, and what to do."""
    if shaken.verify_code in HOST_MISMATCH:
        return (
            f"the certificate is for {', '.join(shown.hosts) or shown.subject}, not {shaken.address.host}",
            "use one of these names, or have the listener's certificate name this one",
        )
    if shaken.verify_code == EXPIRED:
        ended = -shown.days_left(now)
        when = f"has ended {ended:.1f} days ago" if ended > 0 else "or one above it has ended"
        return f"the certificate {shown.subject} {when}", "renew it, or correct this machine's clock"
    if shaken.verify_code == NOT_YET_VALID:
        return f"the certificate begins at {shown.begins:%Y-%m-%d %H:%M} UTC", "correct this machine's clock"
    text = f"the certificate of {shown.issuer} is not to be trusted ({shaken.trouble})"
    if shaken.verify_code in UNTRUSTED:
        if is_clients_ca(trusted, shown, own.certificate if own else None):
            return text, CLIENTS_CA_ADVICE
        trusts = ", ".join(one.subject for one in trusted) or "the system's authorities"
        return text, f"ssl.ca.location trusts {trusts}: give the file of the CA that signed the broker's"
    return text, "correct the broker's certificate, or ssl.ca.location"


def _lasting(about: str, text: str, certificate: Certificate, now: datetime) -> Finding:
    left = certificate.days_left(now)
    if left < 0:
        return failed(TLS, about, f"{text}: ended {-left:.1f} days ago", "renew it")
    if left < DAYS_LEFT_MIN:
        return warning(TLS, about, f"{text}: {left:.1f} days left", "renew it before it ends")
    return ok(TLS, about, f"{text}: {left:.0f} days left")
