"""One member of a consumer group: joins, polls, commits, and rejoins. It knows nothing of events or stores.

What a cluster says about a member is of three kinds. Trouble passes by itself: it is told, and waited for. A
refusal stays until somebody changes a setting: it ends the consumer, with a text that names the setting. A
fatal error kills the client object only: another one is built, once, and the next one ends the consumer.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final

from trunkline.client import diagnosis
from trunkline.client.commits import Commits
from trunkline.client.config import GroupProtocol, consumer_config
from trunkline.client.diagnosis import Situation
from trunkline.client.errors import ClusterUnavailable, KafkaFailed, KafkaFatal
from trunkline.client.health import Health
from trunkline.client.kafka import Consumer, Fetching, GroupStanding, Partition, Rebalance
from trunkline.client.log import Log
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Progress
from trunkline.client.telemetry import ConsumerSpans
from trunkline.client.trouble import Trouble
from trunkline.codec.record import Record

REBUILD_SECONDS: Final = 600.0
"""A second fatal error within this time is no accident: an instance id in use twice would go on for ever."""

_NOT_ANSWERED: Final = GroupStanding(coordinated=False, joined=True)

_log = Log("trunkline.consumer")


class Member:
    """For one thread, apart from `abandon`. `rebalance` hears about the assignment from inside `poll`."""

    def __init__(
        self,
        situation: Situation,
        *,
        rebalance: Rebalance,
        progress: Progress,
        metrics: ConsumerMetrics,
        health: Health,
        start_seconds: float | None,
        monotonic: Callable[[], float],
        spans: ConsumerSpans | None,
        on_fetching: Callable[[Mapping[Partition, Fetching]], None],
    ) -> None:
        """With `start_seconds`, a cluster that has not answered by then ends the consumer; None waits.

        `on_fetching` hears now and then, from inside `poll`, how partitions are fetched. It may not raise.
        """
        self._situation = situation
        self._group = situation.options.group
        self._rebalance = rebalance
        self._health = health
        self._start_seconds = start_seconds
        self._monotonic = monotonic
        self._spans = spans
        self._on_fetching = on_fetching
        self._trouble = Trouble()
        self._refused: dict[str, tuple[float, str]] = {}
        self._heard: dict[str, str] = {}
        self._opened_at = monotonic()
        self._coordinated_at: float | None = None
        self._coordinated = False
        self._joined_once = False
        self._rebuilt_at: float | None = None
        self._commits = Commits(
            group=self._group,
            progress=progress,
            metrics=metrics,
            spans=spans,
            taken=self._answered,
            monotonic=monotonic,
        )
        self._consumer = self._build()

    @property
    def coordinated(self) -> bool:
        """Whether the group's coordinator answered when that was last looked at."""
        return self._coordinated

    @property
    def consumer(self) -> Consumer:
        """The client object of the moment."""
        return self._consumer

    def poll(self, records_max: int, timeout: float) -> list[Record]:
        """The next records.

        Raises `KafkaFailed` when the cluster refuses this consumer, and `ClusterUnavailable` when it never
        answered within the time to start.
        """
        began_ns = 0 if self._spans is None else time.time_ns()
        try:
            records = self._consumer.poll(records_max, timeout)
        except KafkaFatal as error:
            self._rebuild(error)
            return []
        except KafkaFailed as error:
            raise self._explained(error.code, str(error)) from error
        if not self._joined_once:
            self._check_start(self._monotonic())
        if self._spans is not None and records:
            self._spans.polled(records, began_ns=began_ns)
        return records

    def waits_no_more(self, timeout: float) -> bool:
        """Wait for a commit that nobody has answered yet; False if there is still no answer.

        Nothing else may be asked of the member then.
        """
        if self._consumer.waits_no_more(timeout):
            return True
        self._health.stands(_NOT_ANSWERED, self._monotonic())
        self._coordinated = False
        return False

    def joined(self) -> None:
        """The group has told this member what is its own, be it nothing."""
        self._joined_once = True
        self._refused.clear()

    def commit_pending(self) -> None:
        """Commit what is pending and wait for the answer; see `Commits`. Not while nobody would answer."""
        if self._commits_are_answered():
            self._commits.pending(self._consumer)

    def commit_now(self, offsets: Mapping[Partition, int]) -> bool:
        """Commit these and wait; False if it did not take, or if nothing says that it would be answered.

        One that nobody answers takes a whole session time-out.
        """
        return self._commits_are_answered() and self._commits.now(self._consumer, offsets)

    def abandon(self) -> None:
        """Commit nothing more. From any thread."""
        self._commits.abandon()

    def close(self) -> None:
        """Leave the group; `rebalance` hears about the last partitions."""
        self._consumer.close()

    def _commits_are_answered(self) -> bool:
        return self._commits.answering or (self._coordinated and not self._trouble)

    def _build(self) -> Consumer:
        config = consumer_config(self._situation.connection, self._situation.options)
        consumer = Consumer(config, on_trouble=self._hear_trouble, on_standing=self._hear_standing)
        consumer.subscribe(sorted(self._situation.topics), self._rebalance)
        return consumer

    def _rebuild(self, error: KafkaFatal) -> None:
        now = self._monotonic()
        explained = self._explained(error.code, str(error))
        if self._rebuilt_at is not None and now - self._rebuilt_at < REBUILD_SECONDS:
            raise explained from error
        self._rebuilt_at = now
        _log.error("the Kafka client failed for good; building another one", error=str(explained))
        # Whatever it owned is another's: a dead client can commit nothing.
        self._rebalance.lost(())
        with contextlib.suppress(KafkaFailed):
            self._consumer.close()
        self._consumer = self._build()

    def _check_start(self, now: float) -> None:
        for code, (since, text) in self._refused.items():
            if now - since >= diagnosis.REFUSED_SECONDS:
                raise self._explained(code, text)
        if self._coordinated_at is None:
            if self._start_seconds is not None and now - self._opened_at > self._start_seconds:
                raise ClusterUnavailable(
                    diagnosis.unreachable(
                        self._situation.connection.bootstrap_servers,
                        self._heard,
                        f"for {self._start_seconds:g} s",
                    )
                )
        elif (
            self._situation.options.protocol is GroupProtocol.CONSUMER
            and now - self._coordinated_at > diagnosis.JOIN_SECONDS
        ):
            raise KafkaFailed("UNSUPPORTED_VERSION", diagnosis.too_old(self._situation))

    def _explained(self, code: str, text: str) -> KafkaFailed:
        return KafkaFailed(code, diagnosis.explain(self._situation, code, text))

    # Called from inside the consumer's poll and close; these must not raise.

    def _hear_trouble(self, code: str, text: str) -> None:
        now = self._monotonic()
        if diagnosis.is_refusal(code, text):
            self._refused.setdefault(code, (now, text))
        self._heard[code] = text
        if self._trouble.met(code, now):
            text = diagnosis.explain(self._situation, code, text)
            _log.warning("cluster trouble", group=self._group, error=text)

    def _hear_standing(self, standing: GroupStanding, fetching: Mapping[Partition, Fetching]) -> None:
        now = self._monotonic()
        self._health.stands(standing, now)
        self._coordinated = standing.coordinated
        if standing.joined:
            self._joined_once = True
        if standing.coordinated:
            self._coordinated_at = now if self._coordinated_at is None else self._coordinated_at
            self._answered()
        self._on_fetching(fetching)

    def _answered(self) -> None:
        if passed := self._trouble.answered(self._monotonic()):
            _log.warning(
                "cluster trouble is over",
                group=self._group,
                seconds=round(passed.seconds, 1),
                times=passed.times,
            )
