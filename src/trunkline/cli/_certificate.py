"""When the client certificate that a process has loaded ends, for Prometheus.

Certificates are read when clients are made, so a renewed file does not help a process that goes on; what is
told here is the end of the one that it uses.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trunkline.errors import InvalidInput

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Gauge

LOCATION: Final = "ssl.certificate.location"
METRIC: Final = "trunkline_client_certificate_expiry_timestamp_seconds"


def tell_expiry(registry: "CollectorRegistry", security: Mapping[str, str]) -> None:
    """Add the gauge where these librdkafka properties name a client certificate, a PEM file.

    Raises `InvalidInput` for a file that cannot be read or holds none.
    """
    location = security.get(LOCATION)
    if location is None:
        return
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(Path(location).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            f"{LOCATION} {location}: {error}; correct TRUNKLINE_SSL_CERTIFICATE_LOCATION"
        ) from error
    expiry_gauge(registry).set(certificate.not_valid_after_utc.timestamp())


def expiry_gauge(registry: "CollectorRegistry") -> "Gauge":
    """The gauge, not set yet."""
    from prometheus_client import Gauge

    return Gauge(
        METRIC, "Unix time when the client certificate that this process has loaded ends.", registry=registry
    )
