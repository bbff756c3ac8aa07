"""Tells Kafka how far a member is: after each batch, and waiting for the answer, as the contract says.

What is told is final already, in the store or in the world, so a commit may be late and never early. One that
is refused stays pending (`Progress.pending`). What a rebalance refuses is told again after the next poll, for
the partitions that are left; anything else waits a little.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Final, Protocol

from trunkline.client.backoff import Backoff
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Partition
from trunkline.client.log import Log
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Progress
from trunkline.client.telemetry import ConsumerSpans
from trunkline.client.telling import shown_offsets

COMMIT_BACKOFF: Final = Backoff(first=1.0)
"""A commit without an answer has kept the loop from polling for a whole session time-out; let it catch up."""

_log = Log("trunkline.consumer")


class Coordinator(Protocol):
    """Where offsets are told: `trunkline.client.kafka.Consumer`."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell these and wait for the answer. Raises `CommitRefused`."""


class Commits:
    """The commits of one member. For its thread only, apart from `abandon`."""

    def __init__(
        self,
        *,
        group: str,
        progress: Progress,
        metrics: ConsumerMetrics,
        spans: ConsumerSpans | None,
        taken: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        """`taken` is called whenever the coordinator has taken a commit."""
        self._group = group
        self._progress = progress
        self._metrics = metrics
        self._spans = spans
        self._taken = taken
        self._monotonic = monotonic
        self._failures = 0
        self._due = 0.0
        self._answering = True
        self._abandoned = False

    @property
    def answering(self) -> bool:
        """Whether commits are answered, as far as the last one tells."""
        return self._answering

    def pending(self, coordinator: Coordinator) -> None:
        """Tell what is pending, unless one that failed is to be left alone for a while."""
        if (pending := self._progress.pending) and self._monotonic() >= self._due:
            self.now(coordinator, pending)

    def now(self, coordinator: Coordinator, offsets: Mapping[Partition, int]) -> bool:
        """Tell these and wait for the answer; False if they were not taken, for whatever reason."""
        if self._abandoned:
            return False
        try:
            with nullcontext() if self._spans is None else self._spans.committing(offsets):
                coordinator.commit(offsets)
        except CommitRefused as refused:
            self._failed(offsets, refused)
            return False
        self._failures = 0
        self._answering = True
        self._progress.committed(offsets)
        self._taken()
        return True

    def abandon(self) -> None:
        """Tell nothing more. From any thread."""
        self._abandoned = True

    def _failed(self, offsets: Mapping[Partition, int], refused: CommitRefused) -> None:
        self._metrics.commit_failed(refused.reason)
        self._failures += 1
        self._answering = refused.rebalance
        wait = 0.0 if refused.rebalance else COMMIT_BACKOFF.wait(self._failures)
        self._due = self._monotonic() + wait
        _log.info(
            "offset commit refused",
            group=self._group,
            reason=refused.reason,
            positions=shown_offsets(offsets),
            wait=wait,
        )
