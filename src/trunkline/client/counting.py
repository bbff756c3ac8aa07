"""Keeps a publisher's counts of partitions fresh, on a thread: asking the cluster may block for seconds."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from trunkline.client.channel import now
from trunkline.client.config import REACH_SECONDS, UNKNOWN_TOPIC_MS
from trunkline.client.errors import ClusterUnavailable, KafkaFailed
from trunkline.client.log import Log

COUNT_SECONDS: Final = 0.1
"""How often it is looked whether partitions have to be counted, besides for a topic's first event."""

_log = Log("trunkline.publisher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Where the counts come from and go to. Each is called on the counting thread, without a lock."""

    due: Callable[[], list[str]]
    """Topics to be counted."""
    count: Callable[[str], int | None]
    """How many partitions a topic has. Raises `ClusterUnavailable` or `KafkaFailed`."""
    refused: Callable[[], str | None]
    """What the brokers said when they refused the credentials."""
    lease: Callable[[str, int, float], None]
    """Topic, partitions, and when the cluster was asked."""
    give_up: Callable[[str | None, str, str, float], None]
    """Reject what waits for a topic, or for all: code, sentence, and how many seconds it must have waited."""


class PartitionCounter:
    """A thread that counts partitions of topics that have something to send, until it is closed."""

    def __init__(self, counted: Counted, *, service: str, servers: str) -> None:
        self._counted = counted
        self._service = service
        self._servers = servers
        self._reached = False
        self._missing: dict[str, float] = {}
        self._due = threading.Event()
        self._closing = threading.Event()
        # A thread that waits for an answer of the cluster ends when it has one; nobody waits for that.
        threading.Thread(target=self._serve, name=f"partitions-{service}", daemon=True).start()

    def wake(self) -> None:
        """A topic is due."""
        self._due.set()

    def close(self) -> None:
        """End the thread, soon."""
        self._closing.set()
        self._due.set()

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._due.wait(COUNT_SECONDS)
            self._due.clear()
            for topic in self._counted.due():
                try:
                    self._count(topic)
                except Exception as error:  # noqa: BLE001 - without this thread nothing would ever go again
                    if not self._closing.is_set():
                        _log.error(
                            "cannot count partitions", service=self._service, topic=topic, error=repr(error)
                        )

    def _count(self, topic: str) -> None:
        asked_at = now()
        try:
            found = self._counted.count(topic)
        except ClusterUnavailable as error:
            self._away(error)
            return
        except KafkaFailed as error:
            why = f"{self._service} may not use {topic} ({error}); grant its principal Write there"
            self._counted.give_up(topic, error.code, why, 0.0)
            return
        self._reached = True
        if found is None:
            self._is_missing(topic, asked_at)
            # Whoever publishes there wakes this thread with every event.
            self._closing.wait(COUNT_SECONDS)
        else:
            self._missing.pop(topic, None)
            self._counted.lease(topic, found, asked_at)

    def _away(self, error: ClusterUnavailable) -> None:
        refused = self._counted.refused()
        if refused is not None:
            why = (
                f"{self._servers} refuses the credentials of {self._service} ({refused}); correct the "
                "connection's sasl.* and ssl.* settings"
            )
            self._counted.give_up(None, "_AUTHENTICATION", why, 0.0)
        elif not self._reached:
            self._counted.give_up(None, "_ALL_BROKERS_DOWN", f"{self._servers}: {error}", REACH_SECONDS)

    def _is_missing(self, topic: str, asked_at: float) -> None:
        """A topic that was created just now is not known at every broker yet."""
        since = self._missing.setdefault(topic, asked_at)
        if asked_at - since >= UNKNOWN_TOPIC_MS / 1000:
            why = f"topic {topic} does not exist at {self._servers}; create it (trunkline topics create)"
            self._counted.give_up(topic, "UNKNOWN_TOPIC_OR_PART", why, 0.0)
