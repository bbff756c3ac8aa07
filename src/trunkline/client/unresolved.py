"""The events of a publisher that have no outcome yet, and who is to be told when they have one."""

from collections.abc import Callable, Iterable

from trunkline.client.delivery import Delivery, Outcome
from trunkline.client.publisher_metrics import PublisherMetrics


class Unresolved:
    """Whoever calls holds the publisher's lock."""

    def __init__(self, *, events_max: int, bytes_max: int, metrics: PublisherMetrics | None) -> None:
        """`events_max` and `bytes_max` bound what `admit` lets in."""
        self._events_max = events_max
        self._bytes_max = bytes_max
        self._metrics = metrics
        self._bytes = 0
        self._unheard: list[Delivery] = []
        self._when_room: list[Callable[[], None]] = []
        self._has_room = False
        """Something was settled since those who wait for room were told last."""
        self.events: set[Delivery] = set()

    def admit(self, delivery: Delivery) -> bool:
        """Take an event in; False if there is no room."""
        if len(self.events) >= self._events_max or self._bytes >= self._bytes_max:
            return False
        self.events.add(delivery)
        self._bytes += delivery.size
        return True

    def expel(self, delivery: Delivery) -> None:
        """Forget an event that nobody will ask for, although the interpreter was interrupted anywhere."""
        self.events.discard(delivery)
        self._bytes = sum(event.size for event in self.events)

    def tell_of_room(self, when_room: Callable[[], None]) -> None:
        """Have this called once something was settled."""
        self._when_room.append(when_room)

    def settle(self, outcomes: Iterable[tuple[Delivery, Outcome]], now: float) -> bool:
        """Fix outcomes; False if there were none."""
        before = len(self.events)
        if self._metrics is not None:
            outcomes = list(outcomes)
            self._metrics.settled(outcomes, now)
        for delivery, outcome in outcomes:
            self._bytes -= delivery.size
            self.events.discard(delivery)
            if delivery.settle(outcome):
                self._unheard.append(delivery)
        if len(self.events) == before:
            return False
        self._has_room = True
        return True

    @property
    def anyone_to_tell(self) -> bool:
        """Whether `to_tell` has something for the caller."""
        return bool(self._unheard or (self._has_room and self._when_room))

    def to_tell(self) -> list[Callable[[], None]]:
        """What to call once the lock is free; none of it is returned again."""
        calls: list[Callable[[], None]] = [delivery.call_back for delivery in self._unheard]
        self._unheard = []
        if self._has_room:
            calls += self._when_room
            self._when_room = []
            self._has_room = False
        return calls
