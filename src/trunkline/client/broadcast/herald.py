"""Writes an instance's acknowledgements: now and then, soon after a change, and once more when it stops."""

import time
from collections.abc import Callable
from typing import Final

from trunkline.catalogue.internal import BROADCAST_POSITIONS
from trunkline.client.broadcast.acknowledgement import (
    ACKNOWLEDGE_SECONDS,
    Acknowledgement,
    encode_acknowledgement,
)
from trunkline.client.config import Config, ConnectionOptions, ProducerOptions, producer_config
from trunkline.client.errors import KafkaFailed, KafkaFatal, QueueFull
from trunkline.client.kafka import Producer
from trunkline.client.log import Log

CHANGE_SECONDS: Final = 0.5
"""Changes that follow one another closer than this are acknowledged together."""

UNSENT_MAX: Final = 3
"""While the cluster is away nothing more is queued: the next acknowledgement says it all."""

LAST_SECONDS: Final = 3.0
"""For the last word. Without it an instance that stopped would be listed as gone for an hour."""

RETRY_MS: Final = 250
RETRY_MAX_MS: Final = 1_000
ANSWER_MS: Final = 5_000
EXPIRY_MS: Final = 10_000
"""An acknowledgement is worth little once the next one is due. So it is sent again soon or never, and a
broker that hangs is given up sooner than a publisher of events may."""

_log = Log("trunkline.broadcast")


def _config(connection: ConnectionOptions) -> Config:
    return {
        **producer_config(connection, ProducerOptions()),
        "retry.backoff.ms": RETRY_MS,
        "retry.backoff.max.ms": RETRY_MAX_MS,
        "request.timeout.ms": ANSWER_MS,
        "socket.timeout.ms": ANSWER_MS,
        "delivery.timeout.ms": EXPIRY_MS,
    }


class Herald:
    """Only one thread may use it."""

    def __init__(self, connection: ConnectionOptions, *, monotonic: Callable[[], float]) -> None:
        self._config = _config(connection)
        self._producer: Producer[None] = Producer(self._config)
        self._monotonic = monotonic
        self._said_at = float("-inf")
        self._said: object = None
        self._failing = False

    @property
    def unsent(self) -> int:
        """How many acknowledgements wait."""
        return len(self._producer)

    def due(self, state: object) -> bool:
        """Whether to say something; `state` is whatever should be told of soon when it changes."""
        silent = self._monotonic() - self._said_at
        return silent >= (CHANGE_SECONDS if state != self._said else ACKNOWLEDGE_SECONDS)

    def say(self, said: Acknowledgement, state: object) -> None:
        """Queue it, unless too many wait. Raises nothing: an instance works without being heard."""
        self._said_at, self._said = self._monotonic(), state
        self._collect()
        if self.unsent >= UNSENT_MAX:
            self._said = None
            return
        try:
            self._producer.send(BROADCAST_POSITIONS.name, encode_acknowledgement(said), None)
        except (KafkaFailed, QueueFull) as error:
            self._tell(str(error))

    def close(self, last: Acknowledgement) -> None:
        """Say a last word and wait a moment until it is heard. Raises nothing."""
        self._collect()
        if self.unsent:
            # What is left may be waiting for its next attempt, longer than there is time now.
            self._replace()
        self.say(last, None)
        deadline = time.monotonic() + LAST_SECONDS
        while self.unsent and time.monotonic() < deadline:
            self._collect(timeout=0.1)
        self._producer.drain()

    def _collect(self, *, timeout: float = 0) -> None:
        try:
            reports = self._producer.poll(timeout)
        except KafkaFatal as error:
            self._tell(str(error))
            self._replace()
            return
        for report in reports:
            self._tell(None if report.code is None else report.message)

    def _replace(self) -> None:
        self._producer.drain()
        self._producer = Producer(self._config)

    def _tell(self, trouble: str | None) -> None:
        if trouble is not None and not self._failing:
            _log.warning(
                "cannot acknowledge the configuration", topic=BROADCAST_POSITIONS.name, error=trouble
            )
        self._failing = trouble is not None
