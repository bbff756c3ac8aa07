"""Publishes a workload at a steady rate, each event as the service that owns it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Protocol

from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import ServiceName
from trunkline.client.config import ConnectionOptions
from trunkline.client.delivery import Delivered, Delivery
from trunkline.client.errors import QueueFull
from trunkline.client.publisher import Publisher
from trunkline.errors import TrunklineError
from trunkline.sources.workload import Produced

TICK_SECONDS: Final = 0.02
"""Events are published in small bursts, so that a high rate does not need a precise clock."""

CLOSE_SECONDS_MAX: Final = 5.0


SELF_SPEAKING: Final = frozenset({"billing-service", "config-service", "governance-service"})
"""Services whose every event follows from what others do, or from what people do with them: nobody speaks
for them while they run."""


def said_by_others(events: Iterator[Produced]) -> Iterator[Produced]:
    """A workload without what the running services say themselves."""
    return (produced for produced in events if produced.service not in SELF_SPEAKING)


class Account(Protocol):
    """Keeps what was published; called on the feed's thread."""

    def published(self, produced: Produced, delivery: Delivery) -> None:
        """This event was accepted by its publisher; `delivery` will tell its outcome."""


@contextmanager
def open_publishers(
    catalogue: Catalogue, connect: Callable[[str], ConnectionOptions]
) -> Iterator[dict[ServiceName, Publisher]]:
    """One publisher for each service that publishes anything; `connect` says how it comes to the cluster.

    At the end they wait together, and not for long, for what has no outcome yet: the cluster may be away.
    """
    services = sorted({topic.publisher for topic in catalogue.topics.values()})
    publishers = {
        service: Publisher(service=service, connection=connect(service), catalogue=catalogue)
        for service in services
    }
    try:
        yield publishers
    finally:
        deadline = time.monotonic() + CLOSE_SECONDS_MAX
        for publisher in publishers.values():
            publisher.close(max(0.0, deadline - time.monotonic()))


class Feed:
    """A thread that publishes until it is stopped or has no more. While the cluster is away it waits."""

    def __init__(
        self,
        events: Iterator[Produced],
        publishers: Mapping[ServiceName, Publisher],
        account: Account,
        *,
        rate: float,
        on_error: Callable[[TrunklineError], None],
    ) -> None:
        """`rate` is in events a second. `on_error` hears of a refusal, after which the feed has ended."""
        self._events = events
        self._publishers = publishers
        self._account = account
        self._rate = rate
        self._on_error = on_error
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Publish no more. What was published may still be without an outcome."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            for count, produced in enumerate(self._events):
                if not self._reached(began + count / self._rate):
                    return
                self._publish(produced)
        except TrunklineError as error:
            self._on_error(error)

    def _reached(self, due: float) -> bool:
        """Wait until it is time; False if the feed was stopped meanwhile."""
        while (ahead := due - time.monotonic()) > 0:
            if self._stopping.wait(max(ahead, TICK_SECONDS)):
                return False
        return not self._stopping.is_set()

    def _publish(self, produced: Produced) -> None:
        while not self._stopping.is_set():
            try:
                delivery = self._publishers[produced.service].publish_envelope(produced.envelope)
            except QueueFull:
                continue
            self._account.published(produced, delivery)
            return


class Tally:
    """An account that keeps only figures: for a feed that never ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[tuple[str, Delivery]] = []
        self.published_by_topic: Counter[str] = Counter()
        self.acknowledged_by_topic: Counter[str] = Counter()
        self.failed = 0

    def published(self, produced: Produced, delivery: Delivery) -> None:
        with self._lock:
            self.published_by_topic[produced.topic] += 1
            self._open.append((produced.topic, delivery))

    def settle(self) -> None:
        """Count the outcomes that have become known."""
        with self._lock:
            known, self._open = self._open, []
            for topic, delivery in known:
                if delivery.outcome is None:
                    self._open.append((topic, delivery))
                elif isinstance(delivery.outcome, Delivered):
                    self.acknowledged_by_topic[topic] += 1
                else:
                    self.failed += 1
