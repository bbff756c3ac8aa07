"""What Kafka is told while batches go on: late perhaps, never early, and everything in the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from trunkline.client.backoff import Backoff
from trunkline.client.commits import LATE_SECONDS, Commits
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Partition
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Progress
from trunkline.client.store.position import Lane
from trunkline.client.telemetry import ConsumerSpans

KEY: Partition = ("t", 0)
OTHER: Partition = ("t", 1)


@dataclass
class Group:
    """A coordinator that answers when it is told to, and the member's side of it."""

    spans: ConsumerSpans | None = None
    now: float = 0.0
    taken: dict[Partition, int] = field(default_factory=dict)
    sent: list[dict[Partition, int]] = field(default_factory=list)
    waited: list[dict[Partition, int]] = field(default_factory=list)
    refusal: CommitRefused | None = None

    def __post_init__(self) -> None:
        self.registry = CollectorRegistry()
        self.progress = Progress(Backoff())
        self.answers = 0
        self.commits = Commits(
            group="g",
            progress=self.progress,
            metrics=ConsumerMetrics(self.registry, "g"),
            spans=self.spans,
            taken=self._count,
            monotonic=lambda: self.now,
        )

    def _count(self) -> None:
        self.answers += 1

    def own(self, key: Partition) -> None:
        self.progress.assigned([key])
        lane = Lane(group="g", cluster_id="c", topic=key[0], topic_id="i", partition=key[1])
        self.progress.started(key, lane, None)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See `Coordinator`."""
        self.waited.append(dict(offsets))
        if self.refusal is not None:
            raise self.refusal
        self.taken.update(offsets)

    def commit_soon(self, offsets: Mapping[Partition, int]) -> None:
        """See `Coordinator`."""
        if self.refusal is not None:
            raise self.refusal
        self.sent.append(dict(offsets))

    def answer(self, refused: CommitRefused | None = None) -> None:
        """To the oldest commit that was sent."""
        offsets = self.sent.pop(0)
        if refused is None:
            self.taken.update(offsets)
        self.commits.answered(offsets, refused)

    def soon(self) -> None:
        self.commits.soon(self)

    def failures(self, reason: str) -> float | None:
        return self.registry.get_sample_value(
            "trunkline_consumer_commit_failures_total", {"group": "g", "reason": reason}
        )


@pytest.fixture
def group() -> Group:
    made = Group()
    made.own(KEY)
    return made


def test_batches_go_on_while_a_commit_is_under_way_and_the_next_one_tells_of_all_of_them(
    group: Group,
) -> None:
    for offset in (1, 2, 3):
        group.progress.done(KEY, offset)
        group.soon()
    assert group.sent == [{KEY: 1}]
    group.answer()
    group.soon()
    assert group.sent == [{KEY: 3}]
    group.answer()
    group.soon()
    assert group.sent == []
    assert group.progress.pending == {}
    assert group.answers == 2


def test_what_a_rebalance_refuses_is_told_again_at_once_and_anything_else_a_little_later(
    group: Group,
) -> None:
    group.progress.done(KEY, 1)
    group.soon()
    group.answer(CommitRefused("REBALANCE_IN_PROGRESS", rebalance=True))
    group.soon()
    group.answer(CommitRefused("REQUEST_TIMED_OUT", rebalance=False))
    group.soon()
    assert group.sent == []
    group.now += 2.1
    group.soon()
    assert group.sent == [{KEY: 1}]
    assert group.failures("REBALANCE_IN_PROGRESS") == group.failures("REQUEST_TIMED_OUT") == 1


def test_a_commit_that_cannot_even_be_sent_is_tried_again_later(group: Group) -> None:
    group.refusal = CommitRefused("_STATE", rebalance=False)
    group.progress.done(KEY, 1)
    group.soon()
    group.refusal = None
    group.soon()
    assert group.sent == []
    group.now += 1.1
    group.soon()
    assert group.sent == [{KEY: 1}]


def test_a_late_answer_is_waited_for(group: Group) -> None:
    group.progress.done(KEY, 1)
    group.soon()
    group.progress.done(KEY, 2)
    group.now += LATE_SECONDS
    group.soon()
    assert group.waited == [{KEY: 2}]
    assert group.progress.pending == {}


def test_a_revoked_partition_is_told_of_at_once_even_with_a_commit_under_way(group: Group) -> None:
    group.progress.done(KEY, 1)
    group.soon()
    group.progress.done(KEY, 2)
    assert group.commits.now(group, group.progress.revoked([KEY]))
    assert group.waited == [{KEY: 2}]
    group.answer()
    group.soon()
    assert group.sent == []
    assert group.progress.pending == {}


def answering(group: Group) -> bool:
    return group.commits.answering


def test_commits_count_as_answered_until_one_is_late_or_fails_for_want_of_an_answer(group: Group) -> None:
    assert answering(group)
    group.progress.done(KEY, 1)
    group.soon()
    assert answering(group)
    group.now += LATE_SECONDS
    assert not answering(group)
    group.answer(CommitRefused("_TIMED_OUT", rebalance=False))
    assert not answering(group)
    group.now += 10
    group.soon()
    group.answer()
    assert answering(group)
    group.progress.done(KEY, 2)
    group.soon()
    group.answer(CommitRefused("REBALANCE_IN_PROGRESS", rebalance=True))
    assert answering(group)


def test_a_commit_that_the_library_repeats_behind_a_later_one_is_put_right(group: Group) -> None:
    group.progress.done(KEY, 1)
    group.soon()
    group.progress.done(KEY, 2)
    group.now += LATE_SECONDS
    group.soon()
    group.answer()
    assert group.taken == {KEY: 1}
    group.soon()
    group.answer()
    assert group.taken == {KEY: 2}


def test_whoever_was_abandoned_tells_nothing(group: Group) -> None:
    group.progress.done(KEY, 1)
    group.commits.abandon()
    group.soon()
    assert not group.commits.now(group, {KEY: 1})
    assert group.sent == group.waited == []


def test_the_span_of_a_commit_lasts_until_its_answer_and_says_why_it_was_refused() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    group = Group(spans=ConsumerSpans(provider, group="g", client_id="c"))
    group.own(KEY)
    group.progress.done(KEY, 1)
    group.soon()
    assert exporter.get_finished_spans() == ()
    group.answer(CommitRefused("ILLEGAL_GENERATION", rebalance=True))
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ILLEGAL_GENERATION"
    provider.shutdown()


class Telling(RuleBasedStateMachine):
    """Two partitions that batches, rebalances, answers and refusals happen to, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.group = Group()
        self.final = {KEY: 0, OTHER: 0}

    def owned(self) -> list[Partition]:
        return sorted(self.group.progress.owned)

    @rule(key=st.sampled_from([KEY, OTHER]))
    def assign(self, key: Partition) -> None:
        if key not in self.group.progress.owned:
            self.group.own(key)

    @precondition(lambda self: self.owned())
    @rule(data=st.data(), records=st.integers(1, 100))
    def batch(self, data: st.DataObject, records: int) -> None:
        key = data.draw(st.sampled_from(self.owned()))
        self.final[key] += records
        self.group.progress.done(key, self.final[key])
        self.group.soon()

    @precondition(lambda self: self.group.sent)
    @rule(refused=st.sampled_from([None, None, True, False]))
    def answer(self, refused: bool | None) -> None:
        self.group.answer(None if refused is None else CommitRefused("NO", rebalance=refused))
        self.group.soon()

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        self.group.now += seconds
        self.group.soon()

    @precondition(lambda self: self.owned())
    @rule(data=st.data(), lost=st.booleans())
    def leave(self, data: st.DataObject, *, lost: bool) -> None:
        key = data.draw(st.sampled_from(self.owned()))
        if lost:
            self.group.progress.lost([key])
        elif offsets := self.group.progress.revoked([key]):
            self.group.commits.now(self.group, offsets)

    @invariant()
    def nothing_is_told_early(self) -> None:
        assert all(offset <= self.final[key] for key, offset in self.group.taken.items())

    def teardown(self) -> None:
        """Once everything is answered, Kafka knows of all that is ours."""
        for _ in range(5):
            self.group.now += 20
            while self.group.sent:
                self.group.answer()
            self.group.soon()
        for key in self.owned():
            owned = self.group.progress.get(key)
            assert owned is not None
            if owned.expected is not None:
                assert self.group.taken[key] == owned.expected


TestTelling = Telling.TestCase
TestTelling.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
