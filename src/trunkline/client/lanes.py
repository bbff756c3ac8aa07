"""Which event may be handed to librdkafka now, so that no tenant's later event overtakes an earlier one.

Theory of operation. A lane is the events of one tenant in one topic. librdkafka keeps their order as long as
nothing fails; when a batch fails for good, the batches behind it are sent at once, and the failure is known
here only afterwards. What is behind an event must therefore not be in librdkafka's hands while the event is
unresolved, unless both are sure to travel in one record batch, which the broker takes or refuses whole.

- A partition is handed one burst at a time, and the next only when every event of the last has its outcome.
  A burst is within one batch's limits of events and bytes. librdkafka's linger is long, so it keeps a burst
  together until the publisher, having handed over all of it, calls `flush`, which sends what is queued.
- A lane with a failed event is held. Its later events wait until each failed one was published again with the
  same id (these then go first, in their first order), or was given up, or until the hold ends: those that
  waited are then rejected, and the lane is open again.
- A refusal for size of an event that is known to fit is the fence of `topics grow`: nothing was appended. The
  burst goes back to the head, and the topic is tried with one event at a time until one is taken.
- Partitions are chosen here, by a count that was read from the cluster not longer than a lease ago. When the
  count changes, the topic first waits for the outcome of all that is under way.

Everything here is a function of its arguments; `now` is a monotonic time in seconds.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

Lane: TypeAlias = tuple[str, str]
"""Topic and tenant."""

PROBE_SECONDS: Final = 0.25
"""How often a closed topic is tried."""

_CLOSED: Final = "{} is closed for growth, or its max.message.bytes is below the contract's"


class Laned(Protocol):
    """What the lanes know of an event. `partition` is theirs to set; `at` is when it was published."""

    lane: Lane
    size: int
    at: float
    partition: int

    @property
    def event_id(self) -> str: ...


E = TypeVar("E", bound=Laned)


@dataclass(slots=True)
class _Held(Generic[E]):
    """A lane after a failure, in its order: None for what failed, under its id, until it comes again."""

    until: float
    slots: dict[str | E, E | None] = field(default_factory=dict)
    failed: int = 0

    def fail(self, event: E) -> None:
        self.slots[event.event_id] = None
        self.failed += 1

    def keep(self, event: E) -> None:
        if self.slots.get(event.event_id, event) is None:
            self.slots[event.event_id] = event
            self.failed -= 1
        else:
            self.slots[event] = event

    def events(self) -> list[E]:
        return [event for event in self.slots.values() if event is not None]


@dataclass(slots=True)
class _Topic(Generic[E]):
    """One topic. `count` is what `queues` are laid out for, `leased` what the cluster said last."""

    incoming: deque[E] = field(default_factory=deque)
    queues: list[deque[E]] = field(default_factory=list)
    unresolved: list[int] = field(default_factory=list)
    leased: int = 0
    asked_at: float = float("-inf")
    refused_at: float | None = None
    """When the fence refused an event last; None while the topic is open."""
    probe: E | None = None

    def busy(self) -> bool:
        return any(self.unresolved)

    def waiting(self) -> Iterator[deque[E]]:
        yield from self.queues
        yield self.incoming


class Lanes(Generic[E]):
    """The events of one publisher that have no outcome yet. Not thread-safe."""

    def __init__(
        self,
        *,
        place: Callable[[str, int], int],
        timeout_seconds: float,
        lease_seconds: float,
        burst_events: int,
        burst_bytes: int,
    ) -> None:
        """`place` says where a tenant is among so many partitions.

        `timeout_seconds` bounds how long an event waits to be handed over, and how long a lane is held.
        """
        self._place = place
        self._timeout = timeout_seconds
        self._lease = lease_seconds
        self._burst_events = burst_events
        self._burst_bytes = burst_bytes
        self._topics: dict[str, _Topic[E]] = {}
        self._held: dict[Lane, _Held[E]] = {}

    @property
    def held(self) -> int:
        """How many lanes wait behind a failure."""
        return len(self._held)

    def add(self, event: E) -> bool:
        """An event was published; it goes to the end of its lane, or in place of its failed self.

        True if its topic is `due` to be counted.
        """
        name = event.lane[0]
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = _Topic()
        topic.incoming.append(event)
        return event.at - topic.asked_at > self._lease / 2

    def due(self, now: float) -> list[str]:
        """Topics whose partitions have to be counted before anything of theirs can go."""
        return [
            name
            for name, topic in self._topics.items()
            if (now - topic.asked_at > self._lease / 2 or self._fenced_since(topic, now))
            and any(topic.waiting())
        ]

    def lease(self, name: str, count: int, asked_at: float) -> None:
        """The cluster was asked at this time and said that the topic has so many partitions."""
        topic = self._topics.setdefault(name, _Topic())
        topic.leased, topic.asked_at = count, asked_at

    def take(self, now: float) -> list[E]:
        """What is to be handed over now, each to its `partition`, in this order. All are unresolved then."""
        taken: list[E] = []
        for topic in self._topics.values():
            if topic.leased == 0 or now - topic.asked_at > self._lease:
                continue
            if topic.leased != len(topic.queues):
                if topic.busy():
                    continue
                self._lay_out(topic)
            self._distribute(topic)
            if topic.refused_at is None:
                for partition, unresolved in enumerate(topic.unresolved):
                    if not unresolved and topic.queues[partition]:
                        taken += self._burst(topic, partition, self._burst_events)
            elif not topic.busy() and self._may_probe(topic, now):
                taken += self._probe(topic)
        return taken

    def delivered(self, events: Iterable[E]) -> None:
        """These are in the log."""
        for event in events:
            topic = self._topics[event.lane[0]]
            topic.unresolved[event.partition] -= 1
            if topic.probe is event:
                topic.refused_at = topic.probe = None

    def failed(self, event: E, now: float) -> None:
        """This one was handed over and is rejected or of unknown outcome: its lane is held."""
        self._resolve(event)
        self._hold(event, now)

    def returned(self, events: Sequence[E], *, fenced_at: float | None = None) -> None:
        """These, in the order in which they were taken, are not in the log, and are to be sent again.

        `fenced_at` says that the brokers refused them because the topic is closed.
        """
        for event in reversed(events):
            topic = self._topics[event.lane[0]]
            self._resolve(event)
            topic.queues[event.partition].appendleft(event)
            if fenced_at is not None:
                topic.refused_at = fenced_at

    def expired(self, now: float) -> list[tuple[E, str]]:
        """Events that have waited too long, none of them sent, and why. They are no longer known here."""
        found: list[tuple[E, str]] = []
        for name, topic in self._topics.items():
            why = "no broker took it in time" if topic.refused_at is None else _CLOSED.format(name)
            for queue in topic.waiting():
                while queue and queue[0].at + self._timeout <= now:
                    found.append((event := queue.popleft(), why))
                    self._hold(event, now)
        for lane, held in list(self._held.items()):
            if held.until <= now:
                first = next(key for key, event in held.slots.items() if event is None)
                why = f"event {first} of this tenant failed before it and was not published again"
                found += [(event, why) for event in held.events()]
                del self._held[lane]
        return found

    def reject(self, name: str | None, now: float, *, before: float) -> list[E]:
        """Let go of what waits for a topic, or for all, and was published no later than `before`."""
        found: list[E] = []
        for topic_name, topic in self._topics.items():
            if name in (None, topic_name):
                for queue in topic.waiting():
                    while queue and queue[0].at <= before:
                        found.append(queue.popleft())
        for event in found:
            self._hold(event, now)
        return found

    def give_up(self, lane: Lane) -> bool:
        """Let a held lane go on without its failed events; False if it is not held."""
        held = self._held.pop(lane, None)
        if held is None:
            return False
        self._requeue(lane, held.events())
        return True

    def abandon(self) -> list[E]:
        """Forget everything; returns what was never handed over."""
        found = [event for topic in self._topics.values() for queue in topic.waiting() for event in queue]
        found += [event for held in self._held.values() for event in held.events()]
        self._topics.clear()
        self._held.clear()
        return found

    def _fenced_since(self, topic: _Topic[E], now: float) -> bool:
        """Whether the next probe has to wait for a count of the partitions that is newer than the refusal."""
        return topic.refused_at is not None and topic.asked_at <= topic.refused_at < now

    def _may_probe(self, topic: _Topic[E], now: float) -> bool:
        refused_at = topic.refused_at
        return refused_at is not None and refused_at < topic.asked_at and refused_at + PROBE_SECONDS <= now

    def _probe(self, topic: _Topic[E]) -> list[E]:
        for partition, queue in enumerate(topic.queues):
            if queue and (probe := self._burst(topic, partition, 1)):
                topic.probe = probe[0]
                return probe
        return []

    def _lay_out(self, topic: _Topic[E]) -> None:
        """Distribute anew what waits; a lane is in one queue only, so each keeps its order."""
        waiting = [event for queue in topic.waiting() for event in queue]
        topic.incoming = deque(waiting)
        topic.queues = [deque() for _ in range(topic.leased)]
        topic.unresolved = [0] * topic.leased

    def _distribute(self, topic: _Topic[E]) -> None:
        incoming, queues, place, count = topic.incoming, topic.queues, self._place, topic.leased
        while incoming:
            event = incoming.popleft()
            event.partition = place(event.lane[1], count)
            queues[event.partition].append(event)

    def _burst(self, topic: _Topic[E], partition: int, events_max: int) -> list[E]:
        queue, held = topic.queues[partition], self._held
        burst: list[E] = []
        size = 0
        while queue and len(burst) < events_max:
            event = queue[0]
            if held and event.lane in held:
                self._keep(queue)
                continue
            size += event.size
            if size > self._burst_bytes and burst:
                break
            burst.append(queue.popleft())
        topic.unresolved[partition] = len(burst)
        return burst

    def _keep(self, queue: deque[E]) -> None:
        """Move the first of the queue behind the failure of its lane, or in the failed one's place."""
        event = queue.popleft()
        held = self._held[event.lane]
        held.keep(event)
        if not held.failed:
            del self._held[event.lane]
            queue.extendleft(reversed(held.events()))

    def _requeue(self, lane: Lane, events: Sequence[E]) -> None:
        topic = self._topics[lane[0]]
        if topic.queues:
            topic.queues[self._place(lane[1], len(topic.queues))].extendleft(reversed(events))
        else:
            topic.incoming.extendleft(reversed(events))

    def _resolve(self, event: E) -> None:
        topic = self._topics[event.lane[0]]
        topic.unresolved[event.partition] -= 1
        if topic.probe is event:
            topic.probe = None

    def _hold(self, event: E, now: float) -> None:
        held = self._held.get(event.lane)
        if held is None:
            held = self._held[event.lane] = _Held(now + self._timeout)
        held.fail(event)
