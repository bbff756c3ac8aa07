"""What Kafka is told of a member's progress: after each batch, late perhaps, never early, all in the end."""

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
from trunkline.client.commits import Commits
from trunkline.client.errors import CommitRefused
from trunkline.client.kafka import Partition
from trunkline.client.metrics import ConsumerMetrics
from trunkline.client.progress import Progress
from trunkline.client.starts import Start
from trunkline.client.store.position import Lane
from trunkline.client.telemetry import ConsumerSpans

KEY: Partition = ("t", 0)
OTHER: Partition = ("t", 1)


@dataclass
class Group:
    """A coordinator, and the member's side of it."""

    spans: ConsumerSpans | None = None
    now: float = 0.0
    asked: list[dict[Partition, int]] = field(default_factory=list)
    taken: dict[Partition, int] = field(default_factory=dict)
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
        self.progress.started(key, Start(lane=lane, expected=None, offset=0))

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See `Coordinator`."""
        self.asked.append(dict(offsets))
        if self.refusal is not None:
            raise self.refusal
        self.taken.update(offsets)

    def batch(self, key: Partition, offset: int) -> None:
        self.progress.done(key, offset)
        self.commits.pending(self)

    def failures(self, reason: str) -> float | None:
        return self.registry.get_sample_value(
            "trunkline_consumer_commit_failures_total", {"group": "g", "reason": reason}
        )


@pytest.fixture
def group() -> Group:
    made = Group()
    made.own(KEY)
    return made


def test_every_batch_is_told_before_the_next_one_and_nothing_twice(group: Group) -> None:
    for offset in (1, 2, 3):
        group.batch(KEY, offset)
        assert group.taken == {KEY: offset}
    group.commits.pending(group)
    assert group.asked == [{KEY: 1}, {KEY: 2}, {KEY: 3}]
    assert group.answers == 3


def test_what_a_rebalance_refuses_is_told_again_at_once_and_anything_else_a_little_later(
    group: Group,
) -> None:
    group.refusal = CommitRefused("REBALANCE_IN_PROGRESS", rebalance=True)
    group.batch(KEY, 1)
    group.refusal = CommitRefused("REQUEST_TIMED_OUT", rebalance=False)
    group.batch(KEY, 2)
    group.refusal = None
    group.batch(KEY, 3)
    assert group.asked == [{KEY: 1}, {KEY: 2}]
    group.now += 2.1
    group.commits.pending(group)
    assert group.taken == {KEY: 3}
    assert group.failures("REBALANCE_IN_PROGRESS") == group.failures("REQUEST_TIMED_OUT") == 1


def test_a_commit_without_an_answer_says_that_commits_are_not_answered_until_one_is(group: Group) -> None:
    said = [group.commits.answering]
    for refusal in (
        CommitRefused("REBALANCE_IN_PROGRESS", rebalance=True),
        CommitRefused("_TIMED_OUT", rebalance=False),
        None,
    ):
        group.refusal = refusal
        group.commits.now(group, {KEY: 1})
        said.append(group.commits.answering)
    assert said == [True, True, False, True]


def test_whoever_was_abandoned_tells_nothing(group: Group) -> None:
    group.commits.abandon()
    group.batch(KEY, 1)
    assert not group.commits.now(group, {KEY: 1})
    assert group.asked == []


def test_the_span_of_a_commit_says_why_it_was_refused() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    group = Group(spans=ConsumerSpans(provider, group="g", client_id="c"))
    group.own(KEY)
    group.refusal = CommitRefused("ILLEGAL_GENERATION", rebalance=True)
    group.batch(KEY, 1)
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ILLEGAL_GENERATION"
    provider.shutdown()


class Telling(RuleBasedStateMachine):
    """Two partitions that batches, rebalances and refusals happen to, in any order."""

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
        self.group.batch(key, self.final[key])

    @rule(refused=st.sampled_from([None, None, True, False]))
    def mood(self, refused: bool | None) -> None:
        self.group.refusal = None if refused is None else CommitRefused("NO", rebalance=refused)

    @rule(seconds=st.floats(0.1, 20))
    def wait(self, seconds: float) -> None:
        self.group.now += seconds
        self.group.commits.pending(self.group)

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
        """Once commits are taken, Kafka knows of all that is ours."""
        self.group.refusal = None
        self.group.now += 100
        self.group.commits.pending(self.group)
        assert self.group.progress.pending == {}
        for key in self.owned():
            owned = self.group.progress.get(key)
            assert owned is not None
            if owned.expected is not None:
                assert self.group.taken[key] == owned.expected


TestTelling = Telling.TestCase
TestTelling.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
