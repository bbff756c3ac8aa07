"""Records that no consumer can read, written past the publisher as a foreign program would."""

import random
from typing import Final

from trunkline.client.config import ConnectionOptions, ProducerOptions, producer_config
from trunkline.client.kafka import Producer
from trunkline.codec import Encoded
from trunkline.errors import TrunklineError

FLUSH_SECONDS: Final = 0.0
BURST: Final = 3


class Poisoner:
    """Sends invalid records now and then; whether they arrive is no promise of anybody's."""

    def __init__(self, bootstrap_servers: str, topic: str, *, tenants: tuple[str, ...], seed: int) -> None:
        connection = ConnectionOptions(bootstrap_servers=bootstrap_servers, client_id="torture-poison")
        self._producer: Producer[None] = Producer(producer_config(connection, ProducerOptions()))
        self._topic = topic
        self._tenants = tenants
        self._chance = random.Random(seed)  # noqa: S311 - the same poison for the same seed
        self._sent = 0

    def poison(self) -> None:
        """Send a few. Raises `TrunklineError` if they cannot even be queued."""
        for _ in range(BURST):
            self._sent += 1
            self._producer.send(self._topic, self._record(self._chance.choice(self._tenants)), None)

    def poll(self) -> None:
        """Let the library tell what it has to, which nobody needs."""
        try:
            self._producer.poll(FLUSH_SECONDS)
        except TrunklineError:
            self._producer.drain()

    def close(self) -> None:
        """Give up what is not sent."""
        self._producer.drain()

    def _record(self, tenant: str) -> Encoded:
        key, other = tenant.encode(), b"somebody-else"
        headers: list[tuple[str, bytes]] = [
            ("ce_specversion", b"1.0"),
            ("ce_type", b"agent.tokens_used.v1"),
            ("ce_source", b"/poison"),
            ("ce_id", f"poison-{self._sent}".encode()),
            ("ce_time", b"2026-11-23T00:00:00Z"),
            ("ce_tenantid", key),
            ("content-type", b"application/json"),
        ]
        return self._chance.choice(
            [
                Encoded(key, b"\x00\xff not an event", []),
                Encoded(key, b'{"broken": ', headers),
                Encoded(key, b"{}", headers),
                Encoded(other, b"{}", headers),
            ]
        )
