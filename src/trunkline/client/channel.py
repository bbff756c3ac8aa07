"""One librdkafka producer of a publisher, and the thread that hears what became of its events."""

import threading
import time as clock
from collections.abc import Callable, Sequence
from typing import Final

from trunkline.client.config import Config
from trunkline.client.delivery import Delivery
from trunkline.client.kafka import Producer, Report
from trunkline.client.log import Log

POLL_SECONDS: Final = 0.1

_log = Log("trunkline.publisher")

Settle = Callable[["Channel", Sequence[Report[Delivery]]], None]


class Channel:
    """A producer that is built anew when it fails. Nothing but `close` ends its thread."""

    def __init__(
        self,
        name: str,
        config: Config,
        *,
        lock: threading.Lock,
        settle: Settle,
        lose: Callable[["Channel", str], None],
        tick: Callable[["Channel"], None],
    ) -> None:
        """`lock` guards `send` and `sent`; the others are called on the channel's thread, without it.

        `settle` gets reports; `lose` is to resolve all that is still in `sent`; `tick` is called after every
        poll, ten times a second at the least.
        """
        self.producer: Producer[Delivery] = Producer(config)
        self.sent: dict[Delivery, float] = {}
        """What has no outcome yet, with the time of handing over, oldest first."""
        self.broken = False
        """Whether the producer has failed, and is about to be replaced."""
        self._name = name
        self._config = config
        self._lock = lock
        self._settle = settle
        self._lose = lose
        self._tick = tick
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def send(self, delivery: Delivery, now: float) -> None:
        """Hand over one event. Raises as `Producer.send` does."""
        self.producer.send(delivery.lane[0], delivery, delivery, delivery.partition)
        self.sent[delivery] = now

    def overdue(self, now: float, seconds: float) -> bool:
        """Whether something was handed over so long ago."""
        with self._lock:
            oldest = next(iter(self.sent.values()), now)
        return now - oldest > seconds

    def close(self) -> None:
        """End the thread and the producer; what has no outcome by then is lost."""
        if not self._closing.is_set():
            self._closing.set()
            self._thread.join()
            # It has threads of its own, which end with it.
            del self.producer

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                if self.broken:
                    self._replace()
                self._settle(self, self.producer.poll(POLL_SECONDS))
                self._tick(self)
            except Exception as error:  # noqa: BLE001 - whatever it is, no delivery may stay open for ever
                _log.error("producer failed, building a new one", producer=self._name, error=str(error))
                if self.broken:
                    # Building a new one has failed, too; it is tried again, but not in a tight loop.
                    self._closing.wait(POLL_SECONDS)
                with self._lock:
                    self.broken = True
        self._drain("the publisher was closed before it was acknowledged")

    def _replace(self) -> None:
        self._drain("the producer failed before it was acknowledged")
        producer: Producer[Delivery] = Producer(self._config)
        with self._lock:
            self.producer = producer
            self.broken = False

    def _drain(self, why: str) -> None:
        self._settle(self, self.producer.drain())
        self._lose(self, why)


def now() -> float:
    """The clock of all of this: monotonic seconds."""
    return clock.monotonic()
