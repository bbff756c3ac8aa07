"""Looks whether a group's topics are still those that were started, and what the other members consume.

Theory of operation. The library knows topics by name: when one is deleted and created again, it reads on in
the new one at the old offset. Records that were polled are of the topic that was started if the cluster says
so afterwards, for topic ids never come back. Asking after every poll would cost a request a batch. But a new
log begins at offset 0: a record at offset n is of a topic that was created since the cluster was last asked
only if n records have been written to that partition since. So the cluster is asked again when that could be:
often while offsets are low, and hardly ever where they are high.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from trunkline.client import diagnosis
from trunkline.client.diagnosis import Situation
from trunkline.client.errors import KafkaFailed, TopicMissing
from trunkline.client.kafka import Admin, Partition
from trunkline.client.progress import Owned
from trunkline.client.store.position import Lane
from trunkline.errors import Unavailable

TOPIC_CHECK_SECONDS: Final = 10.0
"""How often to look when nothing asks for it."""

RECREATED_SECONDS: Final = 0.05
"""Nobody deletes a topic, creates it, fills it and has its records read by a client that knew the old one, in
less."""

RECORDS_PER_SECOND_MAX: Final = 1_000_000
"""Nobody writes more to one partition."""

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
        self._topic_ids: dict[str, str] = {}
        self._asked_at = -math.inf

    def strange(
        self, admin: Admin, polled: Mapping[Partition, tuple[Lane, int]], now: float
    ) -> frozenset[Partition]:
        """The partitions of another topic than the one that was started, of those polled before `now`.

        `polled` has the lane that was started and the first offset that was polled. Raises `Unavailable` or
        `KafkaFailed` when the cluster had to be asked and did not say.
        """
        elapsed = now - self._asked_at
        bound = elapsed * RECORDS_PER_SECOND_MAX if elapsed > RECREATED_SECONDS else 0.0
        if any(offset < bound or self._is_strange(lane) for lane, offset in polled.values()):
            self._ask(admin, now)
        return frozenset(key for key, (lane, _) in polled.items() if self._is_strange(lane))

    def look(
        self, admin: Admin, reading: Callable[[], Iterable[tuple[Partition, Owned]]], now: float
    ) -> list[Partition]:
        """Look if it is time to; returns the partitions, of those that are read, of a topic created anew.

        Raises `TopicMissing` when a topic has been missing from the start for too long.
        """
        if now < self._due:
            return []
        self._due = now + TOPIC_CHECK_SECONDS
        try:
            there = self._ask(admin, now)
            assigned = admin.assigned_topics(self._situation.options.group)
        except (Unavailable, KafkaFailed):
            return []  # Then it is looked at the next time.
        self._check_missing(self._situation.topics.difference(there), now)
        self._seen.update(there)
        self._complain("topics differ", diagnosis.disagreement(self._situation, assigned))
        return [
            key
            for key, owned in reading()
            if owned.lane is not None and key[0] in there and self._is_strange(owned.lane)
        ]

    def _ask(self, admin: Admin, now: float) -> frozenset[str]:
        """The topics that are there."""
        there = admin.describe(self._situation.topics)
        self._topic_ids = {name: state.topic_id for name, state in there.items()}
        self._asked_at = now
        return frozenset(there)

    def _is_strange(self, lane: Lane) -> bool:
        return self._topic_ids.get(lane.topic) != lane.topic_id

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
            raise TopicMissing(diagnosis.missing(never_seen, self._situation))
