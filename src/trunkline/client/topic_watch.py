"""Looks whether a group's topics are still those that were started, and what the other members consume."""

from collections.abc import Callable, Iterable
from typing import Final

from trunkline.client import diagnosis
from trunkline.client.diagnosis import Situation
from trunkline.client.errors import KafkaFailed
from trunkline.client.kafka import Admin, Partition
from trunkline.client.progress import Owned
from trunkline.errors import Unavailable

TOPIC_CHECK_SECONDS: Final = 10.0
"""How often to look whether a topic is still the one that was started: the library reads on in another of the
same name, at the old offset."""

MISSING_SECONDS: Final = 5.0
"""A topic that was just created may be unknown to a broker for a moment; at the start it counts as missing
after this."""


class TopicWatch:
    """For one member, on its thread."""

    def __init__(self, situation: Situation, complain: Callable[[str, str | None], None]) -> None:
        """`complain` hears of each kind of trouble, by its name, what it is, or None when there is none."""
        self._situation = situation
        self._complain = complain
        self._due = 0.0
        self._missing_since: float | None = None
        self._seen: set[str] = set()

    def look(
        self, admin: Admin, reading: Callable[[], Iterable[tuple[Partition, Owned]]], now: float
    ) -> list[Partition]:
        """Look if it is time to; returns the partitions, of those that are read, of a topic created anew.

        Raises `KafkaFailed` when a topic has been missing from the start for too long.
        """
        if now < self._due:
            return []
        self._due = now + TOPIC_CHECK_SECONDS
        try:
            there = admin.describe(self._situation.topics)
            assigned = admin.assigned_topics(self._situation.options.group)
        except (Unavailable, KafkaFailed):
            return []  # Then it is looked at the next time.
        self._check_missing(self._situation.topics.difference(there), now)
        self._seen.update(there)
        self._complain("topics differ", diagnosis.disagreement(self._situation, assigned))
        return [
            key
            for key, owned in reading()
            if owned.lane is not None and key[0] in there and there[key[0]].topic_id != owned.lane.topic_id
        ]

    def _check_missing(self, missing: frozenset[str], now: float) -> None:
        self._complain("topics missing", diagnosis.missing(missing, self._situation) if missing else None)
        never_seen = missing.difference(self._seen)
        if not never_seen:
            self._missing_since = None
            return
        self._due = now + MISSING_SECONDS / 2
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= MISSING_SECONDS:
            raise KafkaFailed("UNKNOWN_TOPIC_OR_PART", diagnosis.missing(never_seen, self._situation))
