"""The state of a member's partitions, without a broker, a store or a clock."""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.client.backoff import Backoff
from trunkline.client.kafka import Partition
from trunkline.client.progress import Phase, Progress
from trunkline.client.starts import Start
from trunkline.client.store.position import Lane
from trunkline.codec import Record

KEY: Partition = ("t", 0)
LANE = Lane(group="g", cluster_id="c", topic="t", topic_id="i", partition=0)
BACKOFF = Backoff(first=1.0, longest=4.0)


def record(offset: int) -> Record:
    return Record("t", 0, offset, 0, None, None, ())


def reading(expected: int | None = 5) -> Progress:
    progress = Progress(BACKOFF)
    progress.assigned([KEY])
    progress.started(KEY, Start(lane=LANE, expected=expected, offset=expected or 0))
    return progress


def test_a_partition_is_due_at_once_when_it_arrives() -> None:
    progress = Progress(BACKOFF)
    progress.assigned([KEY])
    assert progress.due(Phase.ARRIVING, now=0.0) == [KEY]
    assert progress.pending == {}


def test_kafka_is_told_where_the_store_says_a_partition_starts() -> None:
    assert reading(5).pending == {KEY: 5}
    assert reading(None).pending == {}


def test_a_commit_that_was_overtaken_by_a_later_batch_leaves_that_one_pending() -> None:
    progress = reading(5)
    sent = progress.pending
    progress.done(KEY, 7)
    progress.committed(sent)
    assert progress.pending == {KEY: 7}
    progress.committed({KEY: 7})
    assert progress.pending == {}


def test_a_held_batch_is_due_after_waits_that_grow_until_it_succeeds() -> None:
    progress = reading()
    assert progress.hold(KEY, [record(5)], now=10.0) == 1.0
    assert progress.due(Phase.HOLDING, now=10.9) == []
    assert progress.due(Phase.HOLDING, now=11.0) == [KEY]
    assert progress.hold(KEY, [record(5)], now=11.0) == 2.0
    progress.done(KEY, 6)
    assert progress.count(Phase.HOLDING) == 0
    assert progress.hold(KEY, [record(6)], now=20.0) == 1.0


def test_a_revoked_partition_gives_up_its_pending_offset_to_be_committed() -> None:
    progress = reading(5)
    progress.done(KEY, 8)
    assert progress.revoked([KEY, ("t", 1)]) == {KEY: 8}
    assert progress.owned == frozenset()
    assert progress.pending == {}


def test_nothing_of_a_lost_partition_is_committed() -> None:
    progress = reading(5)
    progress.lost([KEY])
    assert progress.pending == {}


def test_a_partition_that_starts_again_forgets_batch_and_offset() -> None:
    progress = reading(5)
    progress.hold(KEY, [record(5)], now=0.0)
    progress.start_again(KEY, now=0.0)
    assert progress.pending == {}
    assert progress.due(Phase.HOLDING, now=99.0) == []
    assert progress.due(Phase.ARRIVING, now=99.0) == [KEY]


@dataclass
class Model:
    """What may be committed for a partition that is ours: the last offset that is final in the store."""

    final: dict[Partition, int] = field(default_factory=dict)


class AnyRebalance(RuleBasedStateMachine):
    """Whatever order things happen in, only final offsets of owned partitions are ever pending."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = Progress(BACKOFF)
        self.model = Model()
        self.now = 0.0

    keys = st.sampled_from([("t", 0), ("t", 1), ("u", 0)])

    @rule(key=keys)
    def assign(self, key: Partition) -> None:
        self.progress.assigned([key])
        self.model.final.pop(key, None)

    @rule(key=keys, offset=st.integers(0, 9))
    def start(self, key: Partition, offset: int) -> None:
        if key in self.progress.owned:
            self.progress.started(key, Start(lane=LANE, expected=offset, offset=offset))
            self.model.final[key] = offset

    @precondition(lambda self: self.progress.owned)
    @rule(data=st.data(), step=st.integers(1, 9))
    def finish(self, data: st.DataObject, step: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.progress.owned)))
        if key in self.model.final:
            self.model.final[key] += step
            self.progress.done(key, self.model.final[key])

    @precondition(lambda self: self.progress.owned)
    @rule(data=st.data(), again=st.booleans())
    def fail(self, data: st.DataObject, *, again: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.progress.owned)))
        if again:
            self.progress.start_again(key, self.now)
            self.model.final.pop(key, None)
        else:
            self.progress.hold(key, [record(0)], self.now)

    @rule()
    def commit(self) -> None:
        self.progress.committed(self.progress.pending)

    @rule(key=keys, lost=st.booleans())
    def leave(self, key: Partition, *, lost: bool) -> None:
        if lost:
            self.progress.lost([key])
        else:
            offsets = self.progress.revoked([key])
            assert set(offsets) <= {key}
            assert all(self.model.final[key] == offset for key, offset in offsets.items())
        self.model.final.pop(key, None)

    @invariant()
    def only_final_offsets_of_owned_partitions_are_pending(self) -> None:
        for key, offset in self.progress.pending.items():
            assert key in self.progress.owned
            assert offset == self.model.final[key]


AnyRebalance.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyRebalance = AnyRebalance.TestCase
