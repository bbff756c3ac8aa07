"""Where a topic that is closed ends, and which groups have still to read up to there."""

from collections.abc import Collection, Mapping

from trunkline.catalogue.events.config import TOPIC as BROADCAST
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import TopicName
from trunkline.client.growth import plan
from trunkline.client.growth.plan import Growth
from trunkline.client.growth.progress import Doing
from trunkline.client.growth.run import Run
from trunkline.client.kafka import Admin, Partition


def expected_groups(catalogue: Catalogue, topic: str) -> frozenset[str]:
    """The groups that the contract has for a topic. What is broadcast is read without any."""
    if topic == BROADCAST:
        return frozenset()
    there = catalogue.topics.get(TopicName(topic))
    return frozenset() if there is None else frozenset(there.consumers)


class Drainage:
    """What a run sees of a topic's logs and groups."""

    def __init__(
        self, admin: Admin, run: Run, *, consumers: Collection[str], ignored: Collection[str]
    ) -> None:
        """Groups that have committed on the topic have to drain it, and those of `consumers` that have
        committed anything at all, but none of `ignored`."""
        self._admin = admin
        self._run = run
        self._consumers = frozenset(consumers)
        self._ignored = frozenset(ignored)

    def quiet_ends(self, growth: Growth, partitions: int, deadline: float) -> dict[int, int] | None:
        """The ends of the old partitions once all partitions are in sync; None if they are not in time."""

        def in_sync() -> bool:
            found = self._admin.cluster().partitions
            return all(
                (replicas := found.get((growth.topic, number))) is not None
                and replicas.leader >= 0
                and set(replicas.in_sync) == set(replicas.replicas)
                for number in range(partitions)
            )

        if not self._run.until(in_sync, deadline):
            return None
        self._run.pause(self._run.pace.quiet)
        return {number: high for number, (_, high) in self._bounds(growth).items()}

    def is_drained(self, growth: Growth, barriers: Mapping[int, int]) -> bool:
        """Whether every group has committed up to the barriers; tells what is left."""
        lags = self.lags(growth, barriers)
        self._run.tell(growth, Doing.DRAINING, lags)
        return not any(lags.values())

    def lags(self, growth: Growth, barriers: Mapping[int, int]) -> dict[str, int]:
        """How many records each group has left before the barriers."""
        committed = self._admin.committed_on(growth.topic)
        for group in self._consumers - committed.keys():
            if self._admin.committed(group):
                committed[group] = {}
        heard = {group: offsets for group, offsets in committed.items() if group not in self._ignored}
        firsts = {number: low for number, (low, _) in self._bounds(growth).items()}
        return plan.lags(heard, barriers, firsts)

    def who_is_behind(self, growth: Growth, barriers: Mapping[int, int]) -> str:
        """Why the topic was not drained in time, and what helps."""
        behind = [f"{group} by {lag:,}" for group, lag in sorted(self.lags(growth, barriers).items()) if lag]
        return (
            f"not every group had drained it: {', '.join(behind) or 'one was late'} records; start it, raise "
            "--drain-timeout, or leave it out with --ignore-group"
        )

    def _bounds(self, growth: Growth) -> dict[int, plan.Bounds]:
        keys: list[Partition] = [(growth.topic, number) for number in range(growth.before)]
        return {number: bounds for (_, number), bounds in self._admin.offsets(keys).items()}
