"""Which event may be handed to librdkafka now, so that no tenant's later event overtakes an earlier one.

Theory of operation. A lane is the events of one tenant in one topic. librdkafka keeps their order as long as
nothing fails; when a batch fails for good, the batches behind it are sent at once, and the failure is known
here only afterwards. What is behind an event must therefore not be in librdkafka's hands while the event is
unresolved, unless both travel in one record batch, which the broker takes or refuses whole.

- A lane has one event under way, and its later ones wait here. Batches form across lanes.
- A lane in which many wait has a run under way instead: exactly `run_events` of its events, at most one run a
  partition, through a producer that sends a partition's events when it has exactly as many, and never before.
  So a run is one record batch, by librdkafka's own setting and not by timing.
- A lane with a failed event is held. Its later events wait until each failed one was published again with the
  same id (these then go first, in their first order), or was given up, or until the hold ends: those that
  waited are then rejected, and the lane is open again.
- A refusal for size of an event that is known to fit is the fence of `topics grow`: nothing was appended.
  What was refused goes back to the head of its lane, and the topic is tried with one event at a time until
  one is taken.
- Partitions are chosen here, by a count that was read from the cluster not longer than a lease ago.
- An acknowledgement that comes when the lease has run out may be of an event that was appended, by the old
  number of partitions, after a growth: behind its barrier. It is told of only once the partitions were
  counted again. If the tenant is on another one now, the event goes back to the head of its lane and is sent
  again with the same id, before anything behind it.

Everything here is a function of its arguments; `now` is a monotonic time in seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic

from trunkline.client.lane import A, E, Held, Lane, LaneKey, Late, Taken, Topic

PROBE_SECONDS: Final = 0.25
"""How often a closed topic is tried."""

IDLE_LANES_MAX: Final = 20_000
"""Lanes kept although nothing is in them: a tenant that comes again finds its partition."""

_CLOSED: Final = "{} is closed for growth, or its max.message.bytes is below the contract's"


class Lanes(Generic[E, A]):
    """The events of one publisher that have no outcome yet. Not thread-safe."""

    def __init__(
        self,
        *,
        place: Callable[[str, int], int],
        timeout_seconds: float,
        lease_seconds: float,
        run_events: int,
        run_bytes: int,
    ) -> None:
        """`place` says where a tenant is among so many partitions.

        `timeout_seconds` bounds how long an event waits to be handed over, and how long a lane is held.
        """
        self._place = place
        self._timeout = timeout_seconds
        self._lease = lease_seconds
        self._run_events = run_events
        self._run_bytes = run_bytes
        self._topics: dict[str, Topic[E, A]] = {}
        self._lanes: dict[LaneKey, Lane[E, A]] = {}

    @property
    def held(self) -> int:
        """How many lanes wait behind a failure."""
        return sum(lane.held is not None for lane in self._lanes.values())

    def is_held(self, key: LaneKey) -> bool:
        """Whether a lane waits behind a failure."""
        lane = self._lanes.get(key)
        return lane is not None and lane.held is not None

    def is_closed(self, name: str) -> bool:
        """Whether the brokers have refused an event for size, and taken none since."""
        topic = self._topics.get(name)
        return topic is not None and topic.refused_at is not None

    def add(self, event: E) -> bool:
        """An event was published; it goes to the end of its lane, or in place of its failed self.

        True if its topic is `due` to be counted.
        """
        lane = self._lanes.get(event.lane) or self._new_lane(event.lane)
        if lane.held is None:
            lane.waiting.append(event)
            if not lane.busy:
                lane.busy = True
                lane.topic.ready.append(lane)
        else:
            self._keep(lane, lane.held, event)
        topic = lane.topic
        topic.wanted = True
        return event.at - topic.asked_at > self._lease / 2

    def start(self, event: E, now: float) -> bool:
        """As `add` and `take` of this event alone, if its lane is idle and its topic open; else nothing.

        What publishing costs at its cheapest, so this asks only for what is needed.
        """
        lane = self._lanes.get(event.lane)
        if lane is None or lane.busy or lane.waiting or lane.held is not None:
            return False
        topic = lane.topic
        if topic.ready or topic.refused_at is not None or lane.count != topic.count:
            return False
        if now - topic.asked_at > self._lease / 2:
            return False
        topic.wanted = lane.busy = True
        topic.unresolved += 1
        lane.under_way = 1
        event.partition = lane.partition
        return True

    def due(self, now: float) -> list[str]:
        """Topics whose partitions have to be counted before anything of theirs can go, or soon."""
        return [
            topic.name
            for topic in self._topics.values()
            if (topic.wanted or topic.ready or topic.late)
            and (now - topic.asked_at > self._lease / 2 or self._is_older_than_refusal(topic, now))
        ]

    def lease(self, name: str, count: int, asked_at: float) -> list[tuple[E, A]]:
        """The cluster was asked at this time and said that the topic has so many partitions.

        Returns what was acknowledged before and may be told of now.
        """
        topic = self._topic(name)
        topic.count, topic.asked_at, topic.wanted = count, asked_at, False
        late, topic.late = topic.late, []
        told: list[tuple[E, A]] = []
        for item in late:
            self._acknowledged(item, told)
        return told

    def take(self, now: float, *, events_max: int) -> Taken[E]:
        """What is to be handed over now. All of it is unresolved then."""
        taken: Taken[E] = Taken([], [])
        for topic in self._topics.values():
            if not topic.ready or topic.count == 0 or now - topic.asked_at > self._lease:
                continue
            if topic.refused_at is None:
                for _ in range(min(len(topic.ready), events_max - len(taken.singles))):
                    self._start(topic.ready.popleft(), taken)
            elif not topic.unresolved and self._may_probe(topic, now):
                self._probe(topic, taken)
        return taken

    def delivered(self, acknowledged: Iterable[tuple[E, A]], now: float) -> list[tuple[E, A]]:
        """These are in the log. Returns what of it may be told of now."""
        told: list[tuple[E, A]] = []
        for pair in acknowledged:
            event = pair[0]
            lane = self._lanes[event.lane]
            topic = lane.topic
            if topic.probe is event:
                topic.refused_at = topic.probe = None
            if lane.count == topic.count and now - topic.asked_at <= self._lease:
                self._resolved(lane)
                told.append(pair)
            else:
                self._acknowledged(Late(*pair, now), told)
        return told

    def in_time(self, name: str, now: float) -> bool:
        """Whether an acknowledgement that comes now is surely of an event before the barriers of a growth."""
        topic = self._topics.get(name)
        return topic is not None and now - topic.asked_at <= self._lease

    def overdue(self, now: float) -> list[E]:
        """What was acknowledged too late and could not be looked at again in time. Its lanes are held."""
        found: list[E] = []
        for topic in self._topics.values():
            if topic.late and topic.late[0].at + self._timeout <= now:
                events = [late.event for late in topic.late]
                topic.late.clear()
                for event in events:
                    self.failed(event, now)
                found += events
        return found

    def hold(self, event: E, now: float) -> None:
        """Take the lane of this event as held by it, which was under way when it was lost sight of."""
        self._hold(self._lanes.get(event.lane) or self._new_lane(event.lane), event, now)

    def failed(self, event: E, now: float) -> None:
        """This one was handed over and is rejected or of unknown outcome: its lane is held."""
        lane = self._lanes[event.lane]
        if lane.topic.probe is event:
            lane.topic.probe = None
        self._hold(lane, event, now)
        self._resolved(lane)

    def returned(self, events: Sequence[E], *, fenced_at: float | None = None) -> None:
        """These, in the order in which they were taken, are not in the log, and are to be sent again.

        `fenced_at` says that the brokers refused them because the topic is closed.
        """
        for event in events:
            lane = self._lanes[event.lane]
            topic = lane.topic
            if topic.probe is event:
                topic.probe = None
            if fenced_at is not None:
                topic.refused_at = fenced_at
            lane.returned.append(event)
            self._resolved(lane)

    def expired(self, now: float) -> list[tuple[E, str]]:
        """Events that have waited too long, none of them sent, and why. They are no longer known here."""
        found: list[tuple[E, str]] = []
        idle: list[LaneKey] = []
        for lane in self._lanes.values():
            if lane.held is not None and lane.held.until <= now and not lane.held.complete:
                found += self._end_hold(lane, lane.held)
            # Never while an earlier event is under way: it may come back, and would then be behind this one.
            if self._is_late(lane, now) and lane.held is None and not lane.under_way:
                event = lane.waiting.popleft()
                closed = lane.topic.refused_at is not None
                why = _CLOSED.format(lane.topic.name) if closed else "no broker took it in time"
                found.append((event, why))
                self._hold(lane, event, now)
            if lane.is_idle:
                idle.append(lane.key)
        for key in idle[IDLE_LANES_MAX:]:
            del self._lanes[key]
        return found

    def reject(self, name: str | None, now: float, *, before: float) -> list[E]:
        """Let go of what waits for a topic, or for all, and was published no later than `before`."""
        found: list[E] = []
        for lane in self._lanes.values():
            if name in (None, lane.topic.name) and not lane.under_way:
                while lane.waiting and lane.waiting[0].at <= before:
                    event = lane.waiting.popleft()
                    found.append(event)
                    self._hold(lane, event, now)
        return found

    def give_up(self, key: LaneKey) -> bool:
        """Let a held lane go on without its failed events; False if it is not held."""
        lane = self._lanes.get(key)
        if lane is None or lane.held is None:
            return False
        self._release(lane, lane.held)
        return True

    def abandon(self) -> list[E]:
        """Forget all lanes; returns what is not under way."""
        found = [event for lane in self._lanes.values() for event in lane.in_hand()]
        self._lanes.clear()
        return found

    def _topic(self, name: str) -> Topic[E, A]:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name)
        return topic

    def _new_lane(self, key: LaneKey) -> Lane[E, A]:
        lane = self._lanes[key] = Lane(key, self._topic(key[0]))
        return lane

    def _start(self, lane: Lane[E, A], taken: Taken[E], *, may_run: bool = True) -> None:
        """Take a lane's next event, or a run of them, if it still has any that may go."""
        if lane.held is not None or not lane.waiting:
            lane.busy = False
            return
        topic = lane.topic
        if lane.count != topic.count:
            lane.partition, lane.count = self._place(lane.key[1], topic.count), topic.count
        if may_run and len(lane.waiting) >= self._run_events and self._takes_run(lane):
            run = [lane.waiting.popleft() for _ in range(self._run_events)]
            lane.run = [event.event_id for event in run]
            topic.running.add(lane.partition)
            taken.runs.append(run)
        else:
            run = [lane.waiting.popleft()]
            taken.singles.append(run[0])
        for event in run:
            event.partition = lane.partition
        lane.under_way = len(run)
        topic.unresolved += len(run)

    def _takes_run(self, lane: Lane[E, A]) -> bool:
        if lane.partition in lane.topic.running:
            return False
        size = 0
        for event, _ in zip(lane.waiting, range(self._run_events), strict=False):
            size += event.size
        return size <= self._run_bytes

    def _resolved(self, lane: Lane[E, A]) -> None:
        """One of the lane's events is under way no more; with the last of them the lane goes on."""
        topic = lane.topic
        topic.unresolved -= 1
        lane.under_way -= 1
        if lane.under_way:
            return
        if lane.run:
            topic.running.discard(lane.partition)
            if lane.held is not None:
                lane.held.arrange(lane.run)
            lane.run = []
        if lane.returned:
            lane.waiting.extendleft(reversed(lane.returned))
            lane.returned = []
        lane.busy = False
        if lane.held is not None and lane.held.complete:
            self._release(lane, lane.held)
        else:
            self._make_ready(lane)

    def _acknowledged(self, late: Late[E, A], told: list[tuple[E, A]]) -> None:
        """Look at an acknowledgement by the latest count of the partitions."""
        event = late.event
        lane = self._lanes[event.lane]
        topic = lane.topic
        if late.at - topic.asked_at > self._lease:
            topic.late.append(late)
            return
        if self._place(lane.key[1], topic.count) == event.partition:
            told.append((event, late.acknowledged))
        else:
            lane.returned.append(event)
        self._resolved(lane)

    def _make_ready(self, lane: Lane[E, A]) -> None:
        if lane.waiting and lane.held is None and not lane.busy:
            lane.busy = True
            lane.topic.ready.append(lane)

    def _probe(self, topic: Topic[E, A], taken: Taken[E]) -> None:
        while topic.ready and topic.probe is None:
            before = len(taken.singles)
            self._start(topic.ready.popleft(), taken, may_run=False)
            topic.probe = next(iter(taken.singles[before:]), None)

    def _is_older_than_refusal(self, topic: Topic[E, A], now: float) -> bool:
        """Whether the next probe has to wait for a count of the partitions that is newer than the refusal."""
        return topic.refused_at is not None and topic.asked_at <= topic.refused_at < now

    def _may_probe(self, topic: Topic[E, A], now: float) -> bool:
        refused_at = topic.refused_at
        return refused_at is not None and refused_at < topic.asked_at and refused_at + PROBE_SECONDS <= now

    def _is_late(self, lane: Lane[E, A], now: float) -> bool:
        return bool(lane.waiting) and lane.waiting[0].at + self._timeout <= now

    def _hold(self, lane: Lane[E, A], event: E, now: float) -> None:
        if lane.held is None:
            lane.held = Held(now + self._timeout)
        lane.held.failed[event.event_id] = None

    def _keep(self, lane: Lane[E, A], held: Held[E], event: E) -> None:
        if held.failed.get(event.event_id, event) is not None:
            lane.waiting.append(event)
            return
        held.failed[event.event_id] = event
        if held.complete and not lane.under_way:
            self._release(lane, held)

    def _release(self, lane: Lane[E, A], held: Held[E]) -> None:
        lane.held = None
        lane.waiting.extendleft(reversed(held.again()))
        self._make_ready(lane)

    def _end_hold(self, lane: Lane[E, A], held: Held[E]) -> list[tuple[E, str]]:
        first = next(event_id for event_id, event in held.failed.items() if event is None)
        why = f"event {first} of this tenant failed before it and was not published again"
        late = [*held.again(), *lane.waiting]
        lane.waiting.clear()
        lane.held = None
        return [(event, why) for event in late]
