"""The lanes against a model of a log that takes, refuses and fences bursts as it likes."""

from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.client.lanes import Lane, Lanes

TOPIC = "t"
TIMEOUT = 20.0
LEASE = 5.0


@dataclass(eq=False)
class Sent:
    """An event: `number` counts within its tenant."""

    tenant: str
    number: int
    at: float
    size: int = 1
    partition: int = -1
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = (TOPIC, self.tenant)

    @property
    def event_id(self) -> str:
        return f"{self.tenant}-{self.number}"


def place(tenant: str, count: int) -> int:
    return crc32(tenant.encode()) % count


def lanes() -> Lanes[Sent]:
    return Lanes(place=place, timeout_seconds=TIMEOUT, lease_seconds=LEASE, burst_events=3, burst_bytes=100)


class LanesMachine(RuleBasedStateMachine):
    """Whatever fails, is fenced or grows: no event gets into the log before an earlier one that may yet."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = lanes()
        self.now = 0.0
        self.count = 2
        self.numbers: dict[str, int] = {}
        self.bursts: dict[int, list[Sent]] = {}
        self.log: dict[str, list[int]] = {}
        self.failed: dict[str, dict[int, Sent]] = {}
        self.open: set[Sent] = set()

    @rule(tenant=st.sampled_from("abc"))
    def publish(self, tenant: str) -> None:
        number = self.numbers[tenant] = self.numbers.get(tenant, 0) + 1
        self._add(Sent(tenant, number, self.now))

    @rule(tenant=st.sampled_from("abc"), data=st.data())
    def publish_again(self, tenant: str, data: st.DataObject) -> None:
        if failed := self.failed.get(tenant):
            number = data.draw(st.sampled_from(sorted(failed)))
            del failed[number]
            self._add(Sent(tenant, number, self.now))

    @rule(tenant=st.sampled_from("abc"))
    def give_up(self, tenant: str) -> None:
        self.lanes.give_up((TOPIC, tenant))
        self.failed.pop(tenant, None)

    @rule(grow=st.booleans())
    def count_partitions(self, *, grow: bool) -> None:
        # As `topics grow` does it: the topic is fenced and drained, so nothing is under way.
        if grow and not self.bursts and self.count < 4:
            self.count *= 2
        self.lanes.lease(TOPIC, self.count, self.now)

    @rule()
    def take(self) -> None:
        for event in self.lanes.take(self.now):
            self.bursts.setdefault(event.partition, []).append(event)

    @precondition(lambda self: self.bursts)
    @rule(data=st.data(), outcome=st.sampled_from(["taken", "failed", "fenced"]))
    def resolve(self, data: st.DataObject, outcome: str) -> None:
        burst = self.bursts.pop(data.draw(st.sampled_from(sorted(self.bursts))))
        if outcome == "fenced":
            self.lanes.returned(burst, fenced_at=self.now)
            return
        self.open.difference_update(burst)
        if outcome == "taken":
            self.lanes.delivered(burst)
            for event in burst:
                self.log.setdefault(event.tenant, []).append(event.number)
        else:
            for event in burst:
                self.lanes.failed(event, self.now)
                self.failed.setdefault(event.tenant, {})[event.number] = event

    @rule(seconds=st.sampled_from([0.1, 0.3, 2.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def a_tenant_is_in_the_log_in_its_order(self) -> None:
        for numbers in self.log.values():
            assert numbers == sorted(set(numbers))

    @invariant()
    def a_burst_is_within_its_limits(self) -> None:
        assert all(len(burst) <= 3 for burst in self.bursts.values())

    def teardown(self) -> None:
        """Nothing is forgotten: in the end all that had no outcome goes, once nothing fails any more."""
        for tenant in "abc":
            self.give_up(tenant)
        for _ in range(200):
            self.now += 0.3
            self.count_partitions(grow=False)
            for burst in self.bursts.values():
                self.lanes.delivered(burst)
                self.open.difference_update(burst)
            self.bursts.clear()
            self.take()
        assert not self.open

    def _add(self, event: Sent) -> None:
        self.open.add(event)
        self.lanes.add(event)


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_waits_too_long_is_rejected_and_then_what_waited_behind_it() -> None:
    waiting = lanes()
    waiting.add(Sent("a", 1, at=0.0))
    waiting.add(Sent("a", 2, at=1.0))
    assert [event.number for event, _ in waiting.expired(TIMEOUT)] == [1]
    assert waiting.held == 1
    waiting.lease(TOPIC, 1, TIMEOUT)
    assert waiting.take(TIMEOUT) == []
    ((second, why),) = waiting.expired(2 * TIMEOUT)
    assert (second.number, waiting.held) == (2, 0)
    assert why.startswith("event a-1 of this tenant failed before it")


def test_nothing_goes_when_the_lease_has_run_out() -> None:
    idle = lanes()
    idle.lease(TOPIC, 1, 0.0)
    idle.add(Sent("a", 1, at=LEASE))
    assert idle.take(LEASE + 0.1) == []
    assert idle.due(LEASE + 0.1) == [TOPIC]


def test_a_closed_topic_is_tried_with_one_event_after_its_partitions_were_counted() -> None:
    closed = lanes()
    closed.lease(TOPIC, 1, 0.0)
    for number in (1, 2):
        closed.add(Sent("a", number, at=0.0))
    burst = closed.take(0.0)
    closed.returned(burst, fenced_at=1.0)
    assert closed.take(2.0) == []
    closed.lease(TOPIC, 1, 2.0)
    (probe,) = closed.take(2.0)
    assert probe.number == 1
    closed.delivered([probe])
    assert [event.number for event in closed.take(2.0)] == [2]
