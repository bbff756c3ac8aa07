"""Carries a growth out, from any stage the journal tells: close, drain, add, settle, open.

Every step may be repeated, so a run that ends anywhere leaves nothing that the next one cannot go on from. A
run that another one has overtaken notices before it does anything more.
"""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from trunkline.catalogue.events.config import TOPIC as BROADCAST
from trunkline.catalogue.internal import GROWTH_JOURNAL, INTERNAL_TOPICS
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TopicName
from trunkline.client.config import PARTITIONS_LEASE_SECONDS, ConnectionOptions, admin_config
from trunkline.client.errors import GrowthOvertaken, GrowthStopped, InvalidGrowth, KafkaFailed
from trunkline.client.growth import fence, plan
from trunkline.client.growth.fence import Fence
from trunkline.client.growth.journal import Journal
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.kafka import Admin, Partition, TopicState
from trunkline.errors import Unavailable

SETTLE_SECONDS: Final = 60.0
"""How long brokers may take to know new partitions, or that a topic is open again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a growth waits for what, in seconds. The defaults are safe; tests are in more of a hurry."""

    drain: float = 60.0
    """A topic stays closed so long for groups that are behind. With what comes after, it is well below the
    time for which publishers hold events (`DELIVERY_TIMEOUT_MS`)."""

    quiet: float = 1.0
    """Between the fence and reading the ends of the log: what had been let in before has arrived then."""

    lease: float = PARTITIONS_LEASE_SECONDS + 1.0
    """The topic stays closed so long after the partitions were added: a publisher's lease, and a second for
    an answer with the old number that is under way."""

    takeover: float = 6.0
    """Between overtaking a run and opening its topic: longer than the request it may have in hand."""

    poll: float = 0.5


SAFE_PACE: Final = Pace()


class Doing(StrEnum):
    """What a run tells about itself."""

    RESUMING = "resuming"
    CLOSING = "closing"
    CLOSED = "closed"
    DRAINING = "draining"
    DRAINED = "drained"
    ADDED = "added"
    OVERDUE = "overdue"
    SETTLED = "settled"
    OPENED = "opened"
    DONE = "done"
    ABANDONED = "abandoned"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `seconds` count from the beginning of the run; `lags` are the records each group has left."""

    topic: str
    before: int = msgspec.field(name="from")
    after: int = msgspec.field(name="to")
    doing: Doing
    seconds: float
    lags: dict[str, int] = {}


class _Interrupted(Exception):  # noqa: N818 - what happened, not an error
    """`stop` was called."""


class _Impossible(Exception):  # noqa: N818 - likewise
    """The topic cannot be drained; it is to be opened again."""


class Grower:
    """One run. For one thread; `stop` may be called from any."""

    def __init__(
        self,
        connection: ConnectionOptions,
        *,
        consumers: Collection[str] = (),
        ignored: Collection[str] = (),
        pace: Pace = SAFE_PACE,
        tell: Callable[[Progress], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Groups that have committed on the topic have to drain it, and those of `consumers` that have
        committed anything at all, but none of `ignored`."""
        self._admin = Admin(admin_config(connection))
        self._journal = Journal(connection, self._admin)
        self._consumers = frozenset(consumers)
        self._ignored = frozenset(ignored)
        self._pace = pace
        self._tell_of = tell
        self._monotonic = monotonic
        self._began = monotonic()
        self._run = uuid.uuid4().hex
        self._standing: Growth | None = None
        """The last entry that this run knows to be in the journal."""
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """End the run soon; `grow` raises `GrowthStopped`, which tells what is left behind."""
        self._stopping.set()

    def grow(self, topic: str, partitions: int) -> Growth:
        """Grow a topic, or go on with the growth that is under way.

        Raises `InvalidGrowth` when nothing was begun; `GrowthStopped`, which says whether the topic is open;
        `ClusterUnavailable`, `KafkaFailed` and `JournalUnreadable` when it is not known what is under way.
        """
        state = self._describe(topic)
        last = self._under_way(state)
        if last is None:
            growth = self._begun(state, partitions)
        elif last.after != partitions:
            raise InvalidGrowth(
                f"{topic} is growing from {last.before} to {last.after} partitions; finish that with "
                f"--partitions {last.after}, or lift the fence with --abandon"
            )
        else:
            growth = plan.follow(last, last.stage, run=self._run, at_ms=_now_ms())
        try:
            self._write(growth)
            if last is not None:
                self._tell(growth, Doing.RESUMING)
            if growth.stage is not Stage.GROWN:
                growth = self._grow_closed(growth)
            return self._open(growth)
        except (Unavailable, KafkaFailed, _Interrupted) as error:
            raise GrowthStopped(f"{_explained(error)}; {self._left_behind()}") from error

    def abandon(self, topic: str) -> Growth:
        """Open a topic again that a growth has closed. Raises as `grow` does."""
        state = self._describe(topic)
        last = self._under_way(state)
        if last is None:
            raise InvalidGrowth(f"no growth of {topic} is under way; there is nothing to abandon")
        if last.stage is Stage.GROWN or state.partitions >= last.after:
            raise InvalidGrowth(
                f"{topic} has its {state.partitions} partitions already, which cannot be taken back; "
                f"finish with --partitions {last.after}"
            )
        growth = plan.follow(last, last.stage, run=self._run, at_ms=_now_ms())
        try:
            self._write(growth)
            self._pause(self._pace.takeover)
            if self._describe(topic).partitions >= last.after:
                raise InvalidGrowth(
                    f"{topic} was given its partitions this moment; finish with --partitions {last.after}"
                )
            return self._give_up(growth)
        except (Unavailable, KafkaFailed, _Interrupted) as error:
            raise GrowthStopped(f"{_explained(error)}; {self._left_behind()}") from error

    def grow_unsafely(self, topic: str, partitions: int) -> None:
        """Add partitions and nothing else: tenants that move have their events in two places at a time.

        Raises `InvalidGrowth`, `ClusterUnavailable`, `KafkaFailed`.
        """
        state = self._describe(topic)
        if self._under_way(state) is not None:
            raise InvalidGrowth(f"a growth of {topic} is under way; finish or abandon it first")
        if partitions <= state.partitions:
            raise InvalidGrowth(f"{topic} has {state.partitions} partitions already; give --partitions more")
        self._admin.add_partitions(topic, total=partitions)

    # Beginning

    def _describe(self, topic: str) -> TopicState:
        if topic in {internal.name for internal in INTERNAL_TOPICS}:
            raise InvalidGrowth(f"{topic} has one partition for a reason: its records have one order")
        state = self._admin.describe([topic]).get(topic)
        if state is None:
            raise InvalidGrowth(
                f"the cluster has no topic {topic}; `trunkline topics create` creates those of the contract"
            )
        return state

    def _under_way(self, state: TopicState) -> Growth | None:
        return plan.unfinished(self._journal.read(), state.name, state.topic_id)

    def _begun(self, state: TopicState, partitions: int) -> Growth:
        plan.check_numbers(state.name, before=state.partitions, after=partitions)
        own = self._admin.overrides(state.name).get(fence.SETTING)
        if own is not None and own in list(Fence):
            raise InvalidGrowth(
                f"{fence.SETTING} of {state.name} is {own}, so nobody can publish to it, and no growth has "
                "set that; give it back its value first"
            )
        effective = self._admin.topic_config([state.name])[state.name]
        self._journal.ensure(
            replication_factor=state.replication_factor,
            min_insync_replicas=effective.get("min.insync.replicas", "1"),
        )
        return plan.begin(
            growth=uuid.uuid4().hex,
            run=self._run,
            topic=state.name,
            topic_id=state.topic_id,
            before=state.partitions,
            after=partitions,
            max_message_bytes=own,
            at_ms=_now_ms(),
        )

    # The steps

    def _grow_closed(self, growth: Growth) -> Growth:
        deadline = self._monotonic() + self._pace.drain
        if self._describe(growth.topic).partitions != growth.after:
            try:
                growth = self._drain(growth, deadline)
            except _Impossible as why:
                self._give_up(growth)
                raise GrowthStopped(
                    f"{growth.topic} did not grow: {why}; it is open to publishers again"
                ) from None
            self._check_ours(growth)
            self._admin.add_partitions(growth.topic, total=growth.after)
        elif growth.stage is Stage.FENCED:
            # Somebody else has added just as many; the barriers that count are read below.
            growth = self._append(growth, Stage.DRAINED)
        return self._settle(growth, deadline)

    def _drain(self, growth: Growth, deadline: float) -> Growth:
        self._tell(growth, Doing.CLOSING)
        if not self._until(lambda: self._is_closed(growth, Fence.CLOSED), deadline):
            raise _Impossible("not every broker has closed it in time")
        self._tell(growth, Doing.CLOSED)
        barriers = self._quiet_ends(growth, growth.before, deadline)
        if barriers is None:
            raise _Impossible("not all of its replicas were in sync in time")

        def is_drained() -> bool:
            if not self._is_closed(growth, Fence.CLOSED):
                raise _Impossible(
                    f"something else has changed its {fence.SETTING} back (Strimzi's topic operator does; "
                    "pause the reconciliation of its KafkaTopic)"
                )
            return self._are_drained(growth, barriers)

        if not self._until(is_drained, deadline):
            raise _Impossible(f"after {self._pace.drain:g} s {self._who_is_behind(growth, barriers)}")
        growth = self._append(growth, Stage.DRAINED, barriers)
        self._tell(growth, Doing.DRAINED)
        return growth

    def _settle(self, growth: Growth, drain_deadline: float) -> Growth:
        """See the package: why nobody publishes by the old number."""
        shut = Fence.CLOSED_WITH_NEW_PARTITIONS
        deadline = self._monotonic() + SETTLE_SECONDS
        self._must(lambda: self._is_closed(growth, shut), deadline, "all brokers know the new partitions")
        self._tell(growth, Doing.ADDED)
        leased_until = self._monotonic() + self._pace.lease

        def has_lasted() -> bool:
            nonlocal leased_until
            if not self._is_closed(growth, shut):
                leased_until = self._monotonic() + self._pace.lease
            return self._monotonic() >= leased_until

        self._must(has_lasted, deadline, "it has stayed closed for a publisher's lease")
        barriers = self._quiet_ends(growth, growth.after, deadline)
        if barriers is None:
            raise KafkaFailed("NOT_ENOUGH_REPLICAS", "not all replicas of the new partitions are in sync")
        if barriers != growth.barriers and not self._until(
            lambda: self._are_drained(growth, barriers),
            max(drain_deadline, self._monotonic() + self._pace.poll),
        ):
            # The partitions cannot be taken back. Consumers wait for these barriers by themselves.
            self._tell(growth, Doing.OVERDUE, self._lags(growth, barriers))
        growth = self._append(growth, Stage.GROWN, barriers)
        self._tell(growth, Doing.SETTLED)
        return growth

    def _open(self, growth: Growth) -> Growth:
        self._reopen(growth)
        self._tell(growth, Doing.OPENED)
        growth = self._append(growth, Stage.RELEASED)
        self._tell(growth, Doing.DONE)
        return growth

    def _give_up(self, growth: Growth) -> Growth:
        self._reopen(growth)
        growth = self._append(growth, Stage.ABANDONED)
        self._tell(growth, Doing.ABANDONED)
        return growth

    def _reopen(self, growth: Growth) -> None:
        def reopened() -> bool:
            self._check_ours(growth)
            fence.reopen(self._admin, growth.topic, growth.max_message_bytes)
            return True

        deadline = self._monotonic() + SETTLE_SECONDS
        self._until(reopened, deadline)
        self._must(
            lambda: fence.is_open(self._admin, growth.topic), deadline, "all brokers have opened the topic"
        )

    # Looking

    def _is_closed(self, growth: Growth, shut: Fence) -> bool:
        # A run that was overtaken must not close what the other one has opened.
        self._check_ours(growth)
        return fence.keep_closed(self._admin, growth.topic, shut)

    def _quiet_ends(self, growth: Growth, partitions: int, deadline: float) -> dict[int, int] | None:
        """The ends of the old partitions once all partitions are in sync; None if they are not in time."""

        def in_sync() -> bool:
            found = self._admin.cluster().partitions
            return all(
                (replicas := found.get((growth.topic, number))) is not None
                and replicas.leader >= 0
                and set(replicas.in_sync) == set(replicas.replicas)
                for number in range(partitions)
            )

        if not self._until(in_sync, deadline):
            return None
        self._pause(self._pace.quiet)
        return {number: high for number, (_, high) in self._bounds(growth).items()}

    def _are_drained(self, growth: Growth, barriers: Mapping[int, int]) -> bool:
        lags = self._lags(growth, barriers)
        self._tell(growth, Doing.DRAINING, lags)
        return not any(lags.values())

    def _lags(self, growth: Growth, barriers: Mapping[int, int]) -> dict[str, int]:
        committed = self._admin.committed_on(growth.topic)
        for group in self._consumers - committed.keys():
            if self._admin.committed(group):
                committed[group] = {}
        heard = {group: offsets for group, offsets in committed.items() if group not in self._ignored}
        firsts = {number: low for number, (low, _) in self._bounds(growth).items()}
        return plan.lags(heard, barriers, firsts)

    def _who_is_behind(self, growth: Growth, barriers: Mapping[int, int]) -> str:
        behind = [f"{group} by {lag:,}" for group, lag in sorted(self._lags(growth, barriers).items()) if lag]
        return (
            f"not every group had drained it: {', '.join(behind) or 'one was late'} records; start it, raise "
            "--drain-timeout, or leave it out with --ignore-group"
        )

    def _bounds(self, growth: Growth) -> dict[int, plan.Bounds]:
        keys: list[Partition] = [(growth.topic, number) for number in range(growth.before)]
        return {number: bounds for (_, number), bounds in self._admin.offsets(keys).items()}

    def _left_behind(self) -> str:
        """What the user has to know about a run that has ended early; asks nobody."""
        growth = self._standing
        if growth is None:
            return "nothing was begun"
        again = f"run `trunkline topics grow {growth.topic} --partitions {growth.after}` again to go on"
        if growth.stage in (Stage.RELEASED, Stage.ABANDONED):
            return f"{growth.topic} is open to publishers"
        if growth.stage is Stage.FENCED:
            return f"{growth.topic} may be closed to publishers: {again}, or with --abandon to open it"
        return f"{growth.topic} is still closed to publishers: {again}"

    # Keeping on

    def _append(self, last: Growth, stage: Stage, barriers: Mapping[int, int] | None = None) -> Growth:
        entry = plan.follow(last, stage, run=self._run, at_ms=_now_ms(), barriers=barriers)
        self._write(entry)
        return entry

    def _write(self, entry: Growth) -> None:
        def written() -> bool:
            self._journal.append(entry)
            return True

        self._until(written, self._monotonic() + SETTLE_SECONDS)
        self._standing = entry

    def _check_ours(self, growth: Growth) -> None:
        if growth not in self._journal.read():
            raise GrowthOvertaken(
                f"another run has gone on with the growth of {growth.topic}; this one leaves it alone"
            )

    def _must(self, condition: Callable[[], bool], deadline: float, what: str) -> None:
        if not self._until(condition, deadline):
            raise KafkaFailed("REQUEST_TIMED_OUT", f"it took too long until {what}")

    def _until(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Ask until it holds; a cluster that does not answer is asked again. False at the deadline."""
        while True:
            try:
                if condition():
                    return True
            except Unavailable:
                if self._monotonic() >= deadline:
                    raise
            if self._monotonic() >= deadline:
                return False
            self._pause(self._pace.poll)

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _Interrupted("interrupted")

    def _tell(self, growth: Growth, doing: Doing, lags: Mapping[str, int] | None = None) -> None:
        self._tell_of(
            Progress(
                topic=growth.topic,
                before=growth.before,
                after=growth.after,
                doing=doing,
                seconds=round(self._monotonic() - self._began, 1),
                lags=dict(lags or {}),
            )
        )


def expected_groups(catalogue: Catalogue, topic: str) -> frozenset[str]:
    """The groups that the contract has for a topic. What is broadcast is read without any."""
    if topic == BROADCAST:
        return frozenset()
    there = catalogue.topics.get(TopicName(topic))
    return frozenset() if there is None else frozenset(there.consumers)


def _explained(error: Exception) -> str:
    if isinstance(error, KafkaFailed) and "AUTHORIZATION_FAILED" in error.code:
        return (
            f"{error}: growing needs Alter, AlterConfigs and DescribeConfigs on the topic, Read and Write on "
            f"{GROWTH_JOURNAL.name}, and Describe on the consumer groups and the cluster"
        )
    return str(error)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
