"""One run on a growth: its entries in the journal, its waits, what it leaves behind when it ends early."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from trunkline.catalogue.internal import GROWTH_JOURNAL
from trunkline.client.errors import GrowthOvertaken, GrowthStopped, JournalUnreadable, KafkaFailed
from trunkline.client.growth import plan
from trunkline.client.growth.fence import SETTING
from trunkline.client.growth.journal import Journal
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.growth.progress import Doing, Pace, Progress
from trunkline.errors import Unavailable

SETTLE_SECONDS: Final = 60.0
"""How long brokers may take to know new partitions, or that a topic is open again."""


class _Interrupted(Exception):  # noqa: N818 - what happened, not an error
    """`stop` was called."""


class Run:
    """What every step of a growth needs. For one thread; `stop` may be called from any.

    All of it belongs into `accounted_for`, which says of every early end what it leaves behind.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        pace: Pace,
        tell: Callable[[Progress], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._tell_of = tell
        self.pace: Final = pace
        self.monotonic: Final = monotonic
        self.id: Final = uuid.uuid4().hex
        self._began = monotonic()
        self._standing: Growth | None = None
        """The last entry that this run knows to be in the journal."""
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End the run soon."""
        self._stopping.set()

    @contextlib.contextmanager
    def accounted_for(self) -> Iterator[None]:
        """A run that ends early in here ends with `GrowthStopped`, which says whether the topic is open."""
        try:
            yield
        except JournalUnreadable as error:
            raise GrowthStopped(f"{error}; {self._left_without_journal()}") from error
        except (Unavailable, KafkaFailed, _Interrupted) as error:
            raise GrowthStopped(f"{_explained(error)}; {self._left_behind()}") from error

    def take_over(self, last: Growth) -> Growth:
        """Go on with a growth that another run has begun."""
        self._standing = last
        return self.append(last, last.stage)

    def append(self, last: Growth, stage: Stage, barriers: Mapping[int, int] | None = None) -> Growth:
        """Write the entry after `last`, as `write` does, and return it."""
        entry = plan.follow(last, stage, run=self.id, at_ms=now_ms(), barriers=barriers)
        self.write(entry)
        return entry

    def write(self, entry: Growth) -> None:
        """Write an entry and see that it counts. Raises `GrowthOvertaken` when another run was first."""

        def written() -> bool:
            self._journal.append(entry)
            return True

        self.until(written, self.monotonic() + SETTLE_SECONDS)
        self._standing = entry

    def check_ours(self, growth: Growth) -> None:
        """Raises `GrowthOvertaken` unless this is what the journal says last."""
        if growth not in self._journal.read():
            raise GrowthOvertaken(
                f"another run has gone on with the growth of {growth.topic}; this one leaves it alone"
            )

    def must(self, condition: Callable[[], bool], deadline: float, what: str) -> None:
        """As `until`, but raises `KafkaFailed` at the deadline."""
        if not self.until(condition, deadline):
            raise KafkaFailed("REQUEST_TIMED_OUT", f"it took too long until {what}")

    def until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Ask until it holds; a cluster that does not answer is asked again. False at the deadline."""
        while True:
            try:
                if condition():
                    return True
            except Unavailable:
                if self.monotonic() >= deadline:
                    raise
            if self.monotonic() >= deadline:
                return False
            self.pause(self.pace.poll)

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is to end."""
        if self._stopping.wait(seconds):
            raise _Interrupted("interrupted")

    def tell(self, growth: Growth, doing: Doing, lags: Mapping[str, int] | None = None) -> None:
        """Tell of a step; while groups drain the topic, what each has left."""
        self._tell_of(
            Progress(
                topic=growth.topic,
                before=growth.before,
                after=growth.after,
                doing=doing,
                seconds=round(self.monotonic() - self._began, 1),
                lags=dict(lags or {}),
            )
        )

    def _left_behind(self) -> str:
        """What the user has to know about a run that has ended early; asks nobody."""
        growth = self._standing
        if growth is None:
            return "nothing was begun"
        again = f"run `trunkline topics grow {growth.topic} --partitions {growth.after}` again to go on"
        if not growth.unfinished:
            return f"{growth.topic} is open to publishers"
        if growth.stage is Stage.FENCED:
            return f"{growth.topic} may be closed to publishers: {again}, or with --abandon to open it"
        return f"{growth.topic} is still closed to publishers: {again}"

    def _left_without_journal(self) -> str:
        left, growth = self._left_behind(), self._standing
        if growth is None or not growth.unfinished:
            return left
        before = "none of its own" if growth.max_message_bytes is None else growth.max_message_bytes
        return f"{left}, once the journal can be read. {by_hand(growth.topic)}; before, it had {before}"


def by_hand(topic: str) -> str:
    """How to open a topic when the journal has lost the growth that closed it."""
    return f"If the growth had to be deleted from it, give {topic} its {SETTING} back by hand"


def _explained(error: Exception) -> str:
    if isinstance(error, KafkaFailed) and "AUTHORIZATION_FAILED" in error.code:
        return (
            f"{error}: growing needs Alter, AlterConfigs and DescribeConfigs on the topic, Read and Write on "
            f"{GROWTH_JOURNAL.name}, and Describe on the consumer groups and the cluster"
        )
    return str(error)


def now_ms() -> int:
    """Unix time in milliseconds, for an entry."""
    return time.time_ns() // 1_000_000
