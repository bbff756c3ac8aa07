"""The steps of a growth: close, drain, add, settle, open. Each may be repeated.

Every step is told and, where the next run has to know of it, written to the journal before the next begins.
"""

from trunkline.catalogue.internal import INTERNAL_TOPICS
from trunkline.client.errors import GrowthStopped, InvalidGrowth, KafkaFailed
from trunkline.client.growth import fence
from trunkline.client.growth.drainage import Drainage
from trunkline.client.growth.fence import Fence
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.growth.progress import Doing
from trunkline.client.growth.run import SETTLE_SECONDS, Run
from trunkline.client.kafka import Admin, TopicState


class _Impossible(Exception):  # noqa: N818 - what is so, not an error
    """The topic cannot be drained; it is to be opened again."""


def described(admin: Admin, topic: str) -> TopicState:
    """A topic as it is now. Raises `InvalidGrowth` if there is none, or one that cannot grow."""
    if topic in {internal.name for internal in INTERNAL_TOPICS}:
        raise InvalidGrowth(f"{topic} has one partition for a reason: its records have one order")
    state = admin.describe([topic]).get(topic)
    if state is None:
        raise InvalidGrowth(
            f"the cluster has no topic {topic}; `trunkline topics create` creates those of the contract"
        )
    return state


class Steps:
    """A run's way through a growth; see the package for why it is safe."""

    def __init__(self, admin: Admin, run: Run, drainage: Drainage) -> None:
        self._admin = admin
        self._run = run
        self._drainage = drainage

    def grow_closed(self, growth: Growth) -> Growth:
        """Up to `grown`: the partitions are there, and the topic is still closed.

        Raises `GrowthStopped` when it cannot be drained; it is open again then.
        """
        deadline = self._run.monotonic() + self._run.pace.drain
        if described(self._admin, growth.topic).partitions != growth.after:
            try:
                growth = self._drain(growth, deadline)
            except _Impossible as why:
                self.give_up(growth)
                raise GrowthStopped(
                    f"{growth.topic} did not grow: {why}; it is open to publishers again"
                ) from None
            self._run.check_ours(growth)
            self._admin.add_partitions(growth.topic, total=growth.after)
        elif growth.stage is Stage.FENCED:
            # Somebody else has added just as many; the barriers that count are read below.
            growth = self._run.append(growth, Stage.DRAINED)
        return self._settle(growth, deadline)

    def _drain(self, growth: Growth, deadline: float) -> Growth:
        self._run.tell(growth, Doing.CLOSING)
        if not self._run.until(lambda: self._is_closed(growth, Fence.CLOSED), deadline):
            raise _Impossible("not every broker has closed it in time")
        self._run.tell(growth, Doing.CLOSED)
        barriers = self._drainage.quiet_ends(growth, growth.before, deadline)
        if barriers is None:
            raise _Impossible("not all of its replicas were in sync in time")

        def is_drained() -> bool:
            if not self._is_closed(growth, Fence.CLOSED):
                raise _Impossible(
                    f"something else has changed its {fence.SETTING} back (Strimzi's topic operator does; "
                    "pause the reconciliation of its KafkaTopic)"
                )
            return self._drainage.is_drained(growth, barriers)

        if not self._run.until(is_drained, deadline):
            behind = self._drainage.who_is_behind(growth, barriers)
            raise _Impossible(f"after {self._run.pace.drain:g} s {behind}")
        growth = self._run.append(growth, Stage.DRAINED, barriers)
        self._run.tell(growth, Doing.DRAINED)
        return growth

    def _settle(self, growth: Growth, drain_deadline: float) -> Growth:
        """See the package: why nobody publishes by the old number."""
        shut = Fence.CLOSED_WITH_NEW_PARTITIONS
        deadline = self._run.monotonic() + SETTLE_SECONDS
        self._run.must(lambda: self._is_closed(growth, shut), deadline, "all brokers know the new partitions")
        self._run.tell(growth, Doing.ADDED)
        leased_until = self._run.monotonic() + self._run.pace.lease

        def has_lasted() -> bool:
            nonlocal leased_until
            if not self._is_closed(growth, shut):
                leased_until = self._run.monotonic() + self._run.pace.lease
            return self._run.monotonic() >= leased_until

        self._run.must(has_lasted, deadline, "it has stayed closed for a publisher's lease")
        barriers = self._drainage.quiet_ends(growth, growth.after, deadline)
        if barriers is None:
            raise KafkaFailed("NOT_ENOUGH_REPLICAS", "not all replicas of the new partitions are in sync")
        if barriers != growth.barriers and not self._run.until(
            lambda: self._drainage.is_drained(growth, barriers),
            max(drain_deadline, self._run.monotonic() + self._run.pace.poll),
        ):
            # The partitions cannot be taken back. Consumers wait for these barriers by themselves.
            self._run.tell(growth, Doing.OVERDUE, self._drainage.lags(growth, barriers))
        growth = self._run.append(growth, Stage.GROWN, barriers)
        self._run.tell(growth, Doing.SETTLED)
        return growth

    def open(self, growth: Growth) -> Growth:
        """Open a topic that has grown."""
        self._reopen(growth)
        self._run.tell(growth, Doing.OPENED)
        growth = self._run.append(growth, Stage.RELEASED)
        self._run.tell(growth, Doing.DONE)
        return growth

    def give_up(self, growth: Growth) -> Growth:
        """Open a topic that has not grown."""
        self._reopen(growth)
        growth = self._run.append(growth, Stage.ABANDONED)
        self._run.tell(growth, Doing.ABANDONED)
        return growth

    def _reopen(self, growth: Growth) -> None:
        def reopened() -> bool:
            self._run.check_ours(growth)
            fence.reopen(self._admin, growth.topic, growth.max_message_bytes)
            return True

        deadline = self._run.monotonic() + SETTLE_SECONDS
        self._run.until(reopened, deadline)
        self._run.must(
            lambda: fence.is_open(self._admin, growth.topic), deadline, "all brokers have opened the topic"
        )

    def _is_closed(self, growth: Growth, shut: Fence) -> bool:
        # A run that was overtaken must not close what the other one has opened.
        self._run.check_ours(growth)
        return fence.keep_closed(self._admin, growth.topic, shut)
