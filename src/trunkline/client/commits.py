"""Tells Kafka how far a member is, while the member goes on with the next batch.

Theory of operation. What is told is final already, in the store or in the world, so a commit may be late and
never early; a batch need not wait until the one before it has been told. One commit is under way at a time:

    idle ──soon──> under way ──answered──> idle
                       │
                       └──LATE_SECONDS without an answer──> everything pending is told, and waited for

- What becomes final meanwhile stays pending (`Progress.pending`) and goes with the next one.
- A refused one stays pending too. What a rebalance refuses is told again at once, for the partitions that are
  left; anything else waits a little.
- `now` waits for its answer: for partitions that are going to another member, and at the end.
- The library tries a commit again whose connection broke, so a late one may set Kafka back behind what was
  taken since. Its answer shows that, and the position becomes pending again (`Progress.committed`).
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Final, Protocol

from trunkline.client.backoff import Backoff
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Partition
from trunkline.client.log import Log
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Progress
from trunkline.client.telemetry import ConsumerSpans
from trunkline.client.telling import shown_offsets

LATE_SECONDS: Final = 1.0
"""So long batches go on while a commit is not answered. It bounds what is repeated where Kafka has the only
position, as long as commits are answered at all."""

COMMIT_BACKOFF: Final = Backoff(first=1.0)
"""A commit without an answer has kept the loop from polling for a whole session time-out; let it catch up."""

_log = Log("trunkline.consumer")


class Coordinator(Protocol):
    """Where offsets are told: `trunkline.client.kafka.Consumer`."""

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell these and wait for the answer. Raises `CommitRefused`."""

    def commit_soon(self, offsets: Mapping[Partition, int]) -> None:
        """Tell these; the answer comes to `Commits.answered` from inside a poll. Raises `CommitRefused`."""


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
        self._under_way: Mapping[Partition, int] | None = None
        self._late_at = 0.0
        self._span = ExitStack()
        self._failures = 0
        self._due = 0.0
        self._answering = True
        self._abandoned = False

    @property
    def answering(self) -> bool:
        """Whether commits are answered, as far as they tell: none lacks an answer since the last one."""
        return self._answering and (self._under_way is None or self._monotonic() < self._late_at)

    def soon(self, coordinator: Coordinator) -> None:
        """Tell what is pending, if that can be now; wait for nothing but a commit that is late."""
        now = self._monotonic()
        if self._under_way is not None and now < self._late_at:
            return
        pending = self._progress.pending
        if not pending or self._abandoned or now < self._due:
            return
        if self._under_way is not None:
            self.now(coordinator, pending)
            return
        self._begin(pending)
        try:
            coordinator.commit_soon(pending)
        except CommitRefused as refused:
            self._end(refused)
            self._failed(pending, refused)
            return
        self._under_way, self._late_at = pending, now + LATE_SECONDS

    def now(self, coordinator: Coordinator, offsets: Mapping[Partition, int]) -> bool:
        """Tell these and wait for the answer; False if they were not taken, for whatever reason."""
        self.forget()
        if self._abandoned:
            return False
        self._begin(offsets)
        try:
            coordinator.commit(offsets)
        except CommitRefused as refused:
            self._end(refused)
            self._failed(offsets, refused)
            return False
        self._end(None)
        self._succeeded(offsets)
        return True

    def answered(self, offsets: Mapping[Partition, int], refused: CommitRefused | None) -> None:
        """What became of a commit. Those of `now` come here as well, behind their own answer."""
        if offsets == self._under_way:
            self._under_way = None
            self._end(refused)
            if refused is not None:
                self._failed(offsets, refused)
        if refused is None:
            self._succeeded(offsets)

    def forget(self) -> None:
        """Wait no longer for the answer to what is under way; it stays pending."""
        if self._under_way is not None:
            self._under_way = None
            self._end(None)

    def abandon(self) -> None:
        """Tell nothing more. From any thread."""
        self._abandoned = True

    def _begin(self, offsets: Mapping[Partition, int]) -> None:
        if self._spans is not None:
            self._span.enter_context(self._spans.committing(offsets))

    def _end(self, refused: CommitRefused | None) -> None:
        with suppress(CommitRefused), self._span:
            if refused is not None:
                raise refused

    def _succeeded(self, offsets: Mapping[Partition, int]) -> None:
        self._failures = 0
        self._answering = True
        self._progress.committed(offsets)
        self._taken()

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
