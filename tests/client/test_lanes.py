"""The lanes against a model of a log that takes, refuses and fences bursts as it likes."""

from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.client.lane import LaneKey
from trunkline.client.lanes import Lanes

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


def lanes() -> Lanes[Sent, str]:
    return Lanes(place=place, timeout_seconds=TIMEOUT, lease_seconds=LEASE, run_events=RUN, run_bytes=100)


def taken(lanes: Lanes[Sent, str], now: float) -> list[Sent]:
    """What may go now, all of it."""
    singles, runs = lanes.take(now, events_max=1_000)
    return [*singles, *(event for run in runs for event in run)]


def acknowledge(lanes: Lanes[Sent, str], events: list[Sent], now: float) -> list[Sent]:
    """Which of them may be told of."""
    told = lanes.delivered([(event, event.event_id) for event in events], now)
    assert all(event.event_id == position for event, position in told)
    return [event for event, _ in told]


class LanesMachine(RuleBasedStateMachine):
    """Whatever fails, is fenced or grows: no event takes effect before an earlier one that may yet.

    Between a growth and the end of the lease that follows it the topic is closed: what is acknowledged then
    had been appended before. What is acknowledged later by an old number of partitions may be behind the
    barrier, and consumers may come to it at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lanes = lanes()
        self.now = 0.0
        self.count = self.leased = 2
        self.grown_at = float("-inf")
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

    @rule()
    def grow(self) -> None:
        if self.count < 8 and self.now > self.grown_at + LEASE:
            self.count *= 2
            self.grown_at = self.now

    @precondition(lambda self: self.batches and self.count < 8)
    @rule()
    def sleep_through_a_growth(self) -> None:
        self.grow()
        self.now += LEASE + 0.1

    @rule(ago=st.sampled_from([0.0, 1.0]))
    def count_partitions(self, ago: float) -> None:
        """Hear how many there are, or were a moment ago."""
        asked_at = self.now - ago
        self.leased = self.count if asked_at >= self.grown_at else self.count // 2
        for event, position in self.lanes.lease(TOPIC, self.leased, asked_at):
            assert event.event_id == position
            self._tell([event])

    @rule(events_max=st.integers(1, 10))
    def take(self, events_max: int) -> None:
        singles, runs = self.lanes.take(self.now, events_max=events_max)
        assert all(len(run) == RUN and len({event.partition for event in run}) == 1 for run in runs)
        assert all(event.partition == place(event.tenant, self.leased) for event in singles)
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
                    self._fail(event)

    @rule(seconds=st.sampled_from([0.1, 0.3, 2.0, 6.0, 21.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def look_no_longer(self) -> None:
        for event in self.lanes.overdue(self.now):
            self._fail(event)

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
            self.count_partitions(0.0)
            for batch in self.batches:
                self._deliver(batch)
            self.batches.clear()
            self.take(1_000)
            if not self.open:
                break
        assert not self.open

    def _deliver(self, events: list[Sent]) -> None:
        self._tell(acknowledge(self.lanes, events, self.now))
        for event in events:
            if not self._is_straggler(event):
                self._append(event)

    def _is_straggler(self, event: Sent) -> bool:
        moved = event.partition != place(event.tenant, self.count)
        return moved and self.now > self.grown_at + LEASE

    def _append(self, event: Sent) -> None:
        """What is there twice takes effect once."""
        numbers = self.log.setdefault(event.tenant, [])
        if event.number not in numbers:
            numbers.append(event.number)

    def _tell(self, events: list[Sent]) -> None:
        for event in events:
            assert event.number in self.log.get(event.tenant, []) or not self._is_straggler(event)
            self.open.discard(event)

    def _fail(self, event: Sent) -> None:
        self.failed.setdefault(event.tenant, {})[event.number] = event
        self.open.discard(event)

    def _add(self, event: Sent, *, at_once: bool) -> None:
        self.open.add(event)
        if at_once and self.lanes.start(event, self.now):
            assert event.partition == place(event.tenant, self.leased)
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
    assert acknowledge(closed, [probe], 2.0) == [probe]
    assert [event.number for event in taken(closed, 2.0)] == [2]


def test_what_is_behind_an_event_waits_for_its_outcome() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    lane.add(Sent("a", 1, at=0.0))
    (first,) = taken(lane, 0.0)
    lane.add(Sent("a", 2, at=0.0))
    lane.add(Sent("b", 1, at=0.0))
    assert [event.event_id for event in taken(lane, 0.0)] == ["b-1"]
    acknowledge(lane, [first], 0.0)
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
    acknowledge(closed, again, TIMEOUT + 2)
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
    acknowledge(lane, [first], 0.0)
    assert not lane.start(second, LEASE), "the partitions have to be counted again"
    lane.lease(TOPIC, 4, LEASE)
    assert not lane.start(second, LEASE), "the partition was chosen among fewer"
    lane.lease(TOPIC, 2, LEASE)
    assert lane.start(second, LEASE)
    lane.failed(second, LEASE)
    assert not lane.start(third, LEASE), "an earlier event has failed"
    assert lane.take(LEASE, events_max=10).singles == []


def test_what_is_acknowledged_after_the_lease_is_sent_again_if_its_tenant_has_moved() -> None:
    lane = lanes()
    moves, stays = sorted("abcdefgh", key=lambda tenant: place(tenant, 2) == place(tenant, 4))[::7]
    assert [place(tenant, 2) == place(tenant, 4) for tenant in (moves, stays)] == [False, True]
    lane.lease(TOPIC, 2, 0.0)
    for tenant in (stays, moves):
        lane.add(Sent(tenant, 1, at=0.0))
        lane.add(Sent(tenant, 2, at=0.0))
    late = taken(lane, 0.0)
    at = LEASE + 0.1
    assert acknowledge(lane, late, at) == []
    assert taken(lane, at) == []
    assert lane.due(at) == [TOPIC]
    assert lane.lease(TOPIC, 2, 0.05) == [], "asked too long before"
    ((told, position),) = lane.lease(TOPIC, 4, at)
    assert (told.event_id, position) == (f"{stays}-1", f"{stays}-1")
    assert {event.event_id for event in taken(lane, at)} == {f"{stays}-2", f"{moves}-1"}


def test_what_cannot_be_looked_at_again_is_not_waited_for_for_ever() -> None:
    lane = lanes()
    lane.lease(TOPIC, 2, 0.0)
    lane.add(Sent("a", 1, at=0.0))
    late = taken(lane, 0.0)
    assert acknowledge(lane, late, LEASE + 1) == []
    assert lane.overdue(LEASE + TIMEOUT) == []
    assert lane.overdue(LEASE + 1 + TIMEOUT) == late
    assert lane.is_held((TOPIC, "a"))


def test_a_run_that_was_cut_short_goes_again_in_its_order_whatever_was_heard_of_first() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    for number in range(RUN):
        lane.add(Sent("a", number, at=0.0))
    first, *others = taken(lane, 0.0)
    for event in (*others, first):
        lane.failed(event, 0.0)
    for number in range(RUN):
        lane.add(Sent("a", number, at=1.0))
    assert [event.number for event in taken(lane, 1.0)] == list(range(RUN))


def test_a_hold_does_not_end_while_a_part_of_its_run_is_under_way() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    for number in range(RUN):
        lane.add(Sent("a", number, at=0.0))
    first, *others = taken(lane, 0.0)
    lane.failed(first, 0.0)
    lane.add(Sent("a", 0, at=0.0))
    assert lane.expired(2 * TIMEOUT) == []
    acknowledge(lane, others, LEASE)
    assert [event.number for event in taken(lane, LEASE)] == [0]


def test_a_lane_may_be_held_by_what_was_lost_sight_of() -> None:
    lane = lanes()
    lane.lease(TOPIC, 1, 0.0)
    lane.hold(Sent("a", 1, at=0.0), 0.0)
    lane.add(Sent("a", 2, at=0.0))
    assert taken(lane, 0.0) == []
    lane.add(Sent("a", 1, at=0.0))
    assert [event.number for event in taken(lane, 0.0)] == [1]
