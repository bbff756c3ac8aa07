"""What all clients of the library share: its log, how long it may take, the check of its settings."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Final

import confluent_kafka as ck

from trunkline.errors import InvalidInput

REPLY_SECONDS: Final = 5.0
"""How long a metadata or administration request may take before the cluster counts as unavailable."""

LOGGER: Final = logging.getLogger("trunkline.kafka")
# Silent until the program asks for it: every failure also comes back as an error or a log event of ours.
LOGGER.addHandler(logging.NullHandler())
# The library tries a broker that is away many times a second. That comes as trouble, too, which is told once.
LOGGER.addFilter(lambda record: not record.getMessage().startswith("FAIL "))


@contextlib.contextmanager
def settings_checked() -> Iterator[None]:
    """librdkafka looks at its settings when a client is made; only security properties are the user's."""
    try:
        yield
    except ck.KafkaException as error:
        raise InvalidInput(
            f"the Kafka client refuses its settings: {error.args[0].str()}; correct security.protocol, "
            "sasl.* or ssl.* (TRUNKLINE_SECURITY_PROTOCOL, TRUNKLINE_SASL_*, TRUNKLINE_SSL_*, or "
            "--client-properties)"
        ) from error
