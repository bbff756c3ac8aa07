"""Carries a growth out, from any stage the journal tells.

Every step may be repeated, so a run that ends anywhere leaves nothing that the next one cannot go on from. A
run that another one has overtaken notices before it does anything more.
"""

import time
import uuid
from collections.abc import Callable, Collection

from trunkline.client.config import ConnectionOptions, admin_config
from trunkline.client.errors import GrowthStopped, InvalidGrowth, JournalUnreadable
from trunkline.client.growth import fence, plan
from trunkline.client.growth.drainage import Drainage
from trunkline.client.growth.journal import Journal
from trunkline.client.growth.plan import Growth, Stage
from trunkline.client.growth.progress import SAFE_PACE, Doing, Pace, Progress
from trunkline.client.growth.run import Run, by_hand, now_ms
from trunkline.client.growth.steps import Steps, described
from trunkline.client.kafka import Admin, TopicState


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
        self._run = Run(self._journal, pace=pace, tell=tell, monotonic=monotonic)
        drainage = Drainage(self._admin, self._run, consumers=consumers, ignored=ignored)
        self._steps = Steps(self._admin, self._run, drainage)

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._run.stopping

    def stop(self) -> None:
        """End the run soon; `grow` raises `GrowthStopped`, which tells what is left behind."""
        self._run.stop()

    def grow(self, topic: str, partitions: int) -> Growth:
        """Grow a topic, or go on with the growth that is under way.

        Raises `InvalidGrowth` when nothing was begun; `GrowthStopped`, which says whether the topic is open;
        `ClusterUnavailable` and `KafkaFailed` when it is not known what is under way, and `JournalUnreadable`
        when that is so and the topic is open.
        """
        state = described(self._admin, topic)
        last = self._under_way(state)
        if last is None:
            growth = self._planned(state, partitions)
        elif last.after != partitions:
            raise InvalidGrowth(
                f"{topic} is growing from {last.before} to {last.after} partitions; finish that with "
                f"--partitions {last.after}, or lift the fence with --abandon"
            )
        with self._run.accounted_for():
            if last is None:
                self._run.write(growth)
            else:
                growth = self._run.take_over(last)
                self._run.tell(growth, Doing.RESUMING)
            if growth.stage is not Stage.GROWN:
                growth = self._steps.grow_closed(growth)
            return self._steps.open(growth)

    def abandon(self, topic: str) -> Growth:
        """Open a topic again that a growth has closed. Raises as `grow` does."""
        state = described(self._admin, topic)
        last = self._under_way(state)
        if last is None:
            raise InvalidGrowth(f"no growth of {topic} is under way; there is nothing to abandon")
        if last.stage is Stage.GROWN or state.partitions >= last.after:
            raise InvalidGrowth(
                f"{topic} has its {state.partitions} partitions already, which cannot be taken back; "
                f"finish with --partitions {last.after}"
            )
        with self._run.accounted_for():
            growth = self._run.take_over(last)
            self._run.pause(self._run.pace.takeover)
            if described(self._admin, topic).partitions >= last.after:
                raise InvalidGrowth(
                    f"{topic} was given its partitions this moment; finish with --partitions {last.after}"
                )
            return self._steps.give_up(growth)

    def grow_unsafely(self, topic: str, partitions: int) -> None:
        """Add partitions and nothing else: tenants that move have their events in two places at a time.

        Raises `InvalidGrowth`, and when it is not known what is under way as `grow` does.
        """
        state = described(self._admin, topic)
        if self._under_way(state) is not None:
            raise InvalidGrowth(f"a growth of {topic} is under way; finish or abandon it first")
        if partitions <= state.partitions:
            raise InvalidGrowth(f"{topic} has {state.partitions} partitions already; give --partitions more")
        self._admin.add_partitions(topic, total=partitions)

    def _under_way(self, state: TopicState) -> Growth | None:
        try:
            growths = self._journal.read()
        except JournalUnreadable as error:
            if not fence.closes(self._own_setting(state)):
                raise
            raise GrowthStopped(
                f"{error}; {state.name} is closed to publishers, as a growth closes it: run this again once "
                f"the journal can be read. {by_hand(state.name)}"
            ) from error
        return plan.unfinished(growths, state.name, state.topic_id)

    def _own_setting(self, state: TopicState) -> str | None:
        return self._admin.overrides(state.name).get(fence.SETTING)

    def _planned(self, state: TopicState, partitions: int) -> Growth:
        plan.check_numbers(state.name, before=state.partitions, after=partitions)
        own = self._own_setting(state)
        if fence.closes(own):
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
            run=self._run.id,
            topic=state.name,
            topic_id=state.topic_id,
            before=state.partitions,
            after=partitions,
            max_message_bytes=own,
            at_ms=now_ms(),
        )
