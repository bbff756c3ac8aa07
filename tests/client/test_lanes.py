"""The lanes against a model of a log that takes, refuses and fences bursts as it likes."""

from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.client.lanes import LaneKey, Lanes

TOPIC = "t"
TIMEOUT = 20.0
LEASE = 5.0
RUN = 3


@dataclass(eq=False)
class Sent:
    """An event: `number` counts within its tenant."""

    tenant: str
    number: int
    at: float
    size: int = 1
    partition: int = -1
    lane: LaneKey = field(init=False)

    def __post_init__(self) -> None:
        self.lane = (TOPIC, self.tenant)

    @property
    def event_id(self) -> str:
        return f"{self.tenant}-{self.number}"


def place(tenant: str, count: int) -> int:
    return crc32(tenant.encode()) % count


def lanes() -> Lanes[Sent]:
    return Lanes(place=place, timeout_seconds=TIMEOUT, lease_seconds=LEASE, run_events=RUN, run_bytes=100)


def taken(lanes: Lanes[Sent], now: float) -> list[Sent]:
    """What may go now, all of it."""
    singles, runs = lanes.take(now, events_max=1_000)
    return [*singles, *(event for run in runs for event in run)]


class LanesMachine(RuleBasedStateMachine):
    """Whatever fails, is fenced or grows: no event gets into the log before an earlier one that may yet."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = lanes()
        self.now = 0.0
        self.count = 2
        self.numbers: dict[str, int] = {}
        self.batches: list[list[Sent]] = []
        self.log: dict[str, list[int]] = {}
        self.failed: dict[str, dict[int, Sent]] = {}
        self.open: set[Sent] = set()

    @rule(tenant=st.sampled_from("abc"), number=st.integers(1, 5), at_once=st.booleans())
    def publish(self, tenant: str, number: int, *, at_once: bool) -> None:
        for _ in range(number):
            following = self.numbers[tenant] = self.numbers.get(tenant, 0) + 1
            self._add(Sent(tenant, following, self.now), at_once=at_once)

    @rule(tenant=st.sampled_from("abc"), data=st.data())
    def publish_again(self, tenant: str, data: st.DataObject) -> None:
        if failed := self.failed.get(tenant):
            number = data.draw(st.sampled_from(sorted(failed)))
            del failed[number]
            self._add(Sent(tenant, number, self.now), at_once=True)

    @rule(tenant=st.sampled_from("abc"))
    def give_up(self, tenant: str) -> None:
        self.lanes.give_up((TOPIC, tenant))
        self.failed.pop(tenant, None)

    @rule(grow=st.booleans())
    def count_partitions(self, *, grow: bool) -> None:
        if grow and self.count < 4:
            self.count *= 2
        self.lanes.lease(TOPIC, self.count, self.now)

    @rule(events_max=st.integers(1, 10))
    def take(self, events_max: int) -> None:
        singles, runs = self.lanes.take(self.now, events_max=events_max)
        assert all(len(run) == RUN and len({event.partition for event in run}) == 1 for run in runs)
        assert all(event.partition == place(event.tenant, self.count) for event in singles)
        self.batches += [[event] for event in singles]
        self.batches += runs

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), outcome=st.sampled_from(["taken", "failed", "fenced"]), parts=st.integers(1, 2))
    def resolve(self, data: st.DataObject, outcome: str, parts: int) -> None:
        """A batch is taken or refused whole; who hears of it may hear of its parts one after the other."""
        batch = self.batches.pop(data.draw(st.integers(0, len(self.batches) - 1)))
        for part in (batch[:parts], batch[parts:]):
            if outcome == "fenced":
                self.lanes.returned(part, fenced_at=self.now)
            elif outcome == "taken":
                self._deliver(part)
            else:
                for event in part:
                    self.lanes.failed(event, self.now)
                    self.failed.setdefault(event.tenant, {})[event.number] = event
                    self.open.discard(event)

    @rule(seconds=st.sampled_from([0.1, 0.3, 2.0, 6.0, 21.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def expire(self) -> None:
        for event, why in self.lanes.expired(self.now):
            self.open.discard(event)
            if why.startswith("event "):
                # The hold has ended. What has failed until then would be out of order from now on.
                self.failed.pop(event.tenant, None)
            else:
                self.failed.setdefault(event.tenant, {})[event.number] = event
        for tenant in list(self.failed):
            if not self.lanes.is_held((TOPIC, tenant)):
                del self.failed[tenant]

    @invariant()
    def a_tenant_is_in_the_log_in_its_order(self) -> None:
        for numbers in self.log.values():
            assert numbers == sorted(set(numbers))

    @invariant()
    def no_tenant_has_two_batches_under_way(self) -> None:
        tenants = [batch[0].tenant for batch in self.batches]
        assert len(tenants) == len(set(tenants))

    @invariant()
    def no_partition_has_two_runs_under_way(self) -> None:
        partitions = [batch[0].partition for batch in self.batches if len(batch) > 1]
        assert len(partitions) == len(set(partitions))

    def teardown(self) -> None:
        """Nothing is forgotten: in the end all that had no outcome goes, once nothing fails any more."""
        for tenant in "abc":
            self.give_up(tenant)
        for _ in range(200):
            self.now += 0.3
            self.lanes.lease(TOPIC, self.count, self.now)
            for batch in self.batches:
                self._deliver(batch)
            self.batches.clear()
            self.take(1_000)
            if not self.open:
                break
        assert not self.open

    def _deliver(self, events: list[Sent]) -> None:
        self.lanes.delivered(events)
        self.open.difference_update(events)
        for event in events:
            self.log.setdefault(event.tenant, []).append(event.number)

    def _add(self, event: Sent, *, at_once: bool) -> None:
        self.open.add(event)
        if at_once and self.lanes.start(event, self.now):
            assert event.partition == place(event.tenant, self.count)
            self.batches.append([event])
        else:
            self.lanes.add(event)


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_what_waits_too_long_is_rejected_and_then_what_waited_behind_it() -> None:
    waiting = lanes()
    waiting.add(Sent("a", 1, at=0.0))
    waiting.add(Sent("a", 2, at=1.0))
    assert [event.number for event, _ in waiting.expired(TIMEOUT)] == [1]
    assert waiting.held == 1
    waiting.lease(TOPIC, 1, TIMEOUT)
    assert taken(waiting, TIMEOUT) == []
    ((second, why),) = waiting.expired(2 * TIMEOUT)
    assert (second.number, waiting.held) == (2, 0)
    assert why.startswith("event a-1 of this tenant failed before it")


def test_nothing_goes_when_the_lease_has_run_out() -> None:
    idle = lanes()
    idle.lease(TOPIC, 1, 0.0)
    idle.add(Sent("a", 1, at=LEASE))
    assert taken(idle, LEASE + 0.1) == []
    assert idle.due(LEASE + 0.1) == [TOPIC]


def test_a_closed_topic_is_tried_with_one_event_after_its_partitions_were_counted() -> None:
    closed = lanes()
    closed.lease(TOPIC, 1, 0.0)
    for number in (1, 2):
        closed.add(Sent("a", number, at=0.0))
    closed.returned(taken(closed, 0.0), fenced_at=1.0)
    assert taken(closed, 2.0) == []
    closed.lease(TOPIC, 1, 2.0)
    (probe,) = taken(closed, 2.0)
    assert probe.number == 1
    closed.delivered([probe])
    assert [event.number for event in taken(closed, 2.0)] == [2]


def test_what_is_behind_an_event_waits_for_its_outcome() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    lane.add(Sent("a", 1, at=0.0))
    (first,) = taken(lane, 0.0)
    lane.add(Sent("a", 2, at=0.0))
    lane.add(Sent("b", 1, at=0.0))
    assert [event.event_id for event in taken(lane, 0.0)] == ["b-1"]
    lane.delivered([first])
    assert [event.event_id for event in taken(lane, 0.0)] == ["a-2"]


def test_a_run_is_not_larger_than_a_batch() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    for number in range(RUN):
        lane.add(Sent("a", number, at=0.0, size=50))
    assert [event.event_id for event in taken(lane, 0.0)] == ["a-0"]


def test_an_event_does_not_expire_while_an_earlier_one_may_come_back() -> None:
    closed = lanes()
    closed.lease(TOPIC, 1, 0.0)
    for number in (1, 2):
        closed.add(Sent("a", number, at=0.0))
    closed.returned(taken(closed, 0.0), fenced_at=0.0)
    ((first, _),) = closed.expired(TIMEOUT)
    closed.add(Sent("a", 1, at=TIMEOUT))
    closed.lease(TOPIC, 1, TIMEOUT)
    probe = taken(closed, TIMEOUT)
    assert [event.number for event in probe] == [first.number]
    assert closed.expired(TIMEOUT + 1) == []
    closed.returned(probe, fenced_at=TIMEOUT + 1)
    assert closed.expired(TIMEOUT + 1) == []
    closed.lease(TOPIC, 1, TIMEOUT + 2)
    again = taken(closed, TIMEOUT + 2)
    closed.delivered(again)
    assert [event.number for event in [*again, *taken(closed, TIMEOUT + 2)]] == [1, 2]


def test_an_event_goes_at_once_only_into_an_idle_lane_of_an_open_topic() -> None:
    lane = lanes()
    lane.lease(TOPIC, 2, 0.0)
    first, second, third = (Sent("a", number, at=0.0) for number in (1, 2, 3))
    assert not lane.start(first, 0.0), "a lane that is not known yet has no partition"
    lane.add(first)
    assert not lane.start(second, 0.0), "an earlier event waits"
    assert lane.take(0.0, events_max=10).singles == [first]
    assert not lane.start(second, 0.0), "an earlier event is under way"
    lane.delivered([first])
    assert not lane.start(second, LEASE), "the partitions have to be counted again"
    lane.lease(TOPIC, 4, LEASE)
    assert not lane.start(second, LEASE), "the partition was chosen among fewer"
    lane.lease(TOPIC, 2, LEASE)
    assert lane.start(second, LEASE)
    lane.failed(second, LEASE)
    assert not lane.start(third, LEASE), "an earlier event has failed"
    assert lane.take(LEASE, events_max=10).singles == []
