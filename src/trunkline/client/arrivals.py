"""Starts the partitions that have arrived, and says of those that do not start why.

What keeps a partition from its start mostly passes by itself: it is asked about again, and a consumer whose
partitions wait for long is unready. A missing right does not: it ends the consumer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trunkline.client import diagnosis
from trunkline.client.errors import KafkaFailed
from trunkline.client.health import Health
from trunkline.client.kafka import Partition
from trunkline.client.progress import Phase, Progress
from trunkline.client.reports import Reports
from trunkline.client.starts import Start
from trunkline.client.store.position import Fenced
from trunkline.errors import Unavailable

WITHHELD: Final = (
    "no broker leads them, their topic is missing, or a growth added them and the older ones "
    "are not read so far yet"
)


class Arrivals:
    """Of one member, on its thread."""

    def __init__(self, progress: Progress, *, health: Health, reports: Reports) -> None:
        self._progress = progress
        self._health = health
        self._reports = reports
        self._forbidden_since: float | None = None

    def start(self, start: Callable[[Sequence[Partition]], Mapping[Partition, Start]], now: float) -> bool:
        """Start what is due; returns whether the cluster and the store have said where partitions start.

        `start` finds where partitions start, leaves out those that have to wait, and has the others read.
        Raises `KafkaFailed` when a right has been missing for too long.
        """
        due = self._progress.due(Phase.ARRIVING, now)
        answered = bool(due) and self._try(due, start, now)
        self._health.arriving(self._progress.count(Phase.ARRIVING), now)
        return answered

    def _try(
        self,
        due: Sequence[Partition],
        start: Callable[[Sequence[Partition]], Mapping[Partition, Start]],
        now: float,
    ) -> bool:
        try:
            starts = start(due)
        except (Unavailable, KafkaFailed, Fenced) as error:
            why = str(error) or "another member is at it"
            wait = max([self._progress.start_again(key, now) for key in due])
            self._reports.cannot_start(due, why, wait)
            self._health.cannot_start(why)
            self._end_if_forbidden(error, now)
            return False
        self._forbidden_since = None
        for key, found in starts.items():
            self._progress.started(key, found)
            self._reports.started(key, found)
        if withheld := [key for key in due if key not in starts]:
            wait = max([self._progress.start_again(key, now) for key in withheld])
            self._reports.cannot_start(withheld, WITHHELD, wait)
            self._health.cannot_start(WITHHELD)
        return True

    def _end_if_forbidden(self, error: Exception, now: float) -> None:
        if not isinstance(error, KafkaFailed) or not diagnosis.is_forbidden(error.code):
            self._forbidden_since = None
        elif self._forbidden_since is None:
            self._forbidden_since = now
        elif now - self._forbidden_since >= diagnosis.REFUSED_SECONDS:
            raise error
