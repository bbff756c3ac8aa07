"""What the lanes of a publisher keep: of an event, of a tenant in a topic, and of a topic."""

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

LaneKey: TypeAlias = tuple[str, str]
"""Topic and tenant."""


class Laned(Protocol):
    """What the lanes know of an event. `partition` is theirs to set; `at` is when it was published."""

    lane: LaneKey
    size: int
    at: float
    partition: int

    @property
    def event_id(self) -> str: ...


E = TypeVar("E", bound=Laned)
A = TypeVar("A")
"""What an acknowledgement says; the lanes only keep it."""


class Taken(NamedTuple, Generic[E]):
    """What is to be handed over now, each event to its `partition`: lone ones, and runs."""

    singles: list[E]
    runs: list[list[E]]


class Late(NamedTuple, Generic[E, A]):
    """An event whose acknowledgement came at a time at which the lease had run out."""

    event: E
    acknowledged: A
    at: float


@dataclass(slots=True)
class Held(Generic[E]):
    """What failed in a lane, by id and in its order: None until it is published again."""

    until: float
    failed: dict[str, E | None] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything was published again."""
        return None not in self.failed.values()

    def again(self) -> list[E]:
        """What was published again, in the first order."""
        return [event for event in self.failed.values() if event is not None]

    def arrange(self, order: list[str]) -> None:
        """Put what has failed into the order in which it was taken, whatever was heard of first."""
        turns = {event_id: turn for turn, event_id in enumerate(order)}
        self.failed = dict(sorted(self.failed.items(), key=lambda item: turns.get(item[0], -1)))


@dataclass(slots=True, eq=False)
class Topic(Generic[E, A]):
    """One topic. `ready` are the lanes of which something may go; `running` the partitions with a run."""

    name: str
    ready: "deque[Lane[E, A]]" = field(default_factory=deque)
    running: set[int] = field(default_factory=set)
    late: list[Late[E, A]] = field(default_factory=list)
    unresolved: int = 0
    count: int = 0
    asked_at: float = float("-inf")
    wanted: bool = False
    """Something was published since the partitions were counted last."""
    refused_at: float | None = None
    """When the fence refused an event last; None while the topic is open."""
    probe: E | None = None


@dataclass(slots=True, eq=False)
class Lane(Generic[E, A]):
    """One tenant in one topic. `busy` means under way or among the topic's `ready`."""

    key: LaneKey
    topic: Topic[E, A]
    waiting: deque[E] = field(default_factory=deque)
    returned: list[E] = field(default_factory=list)
    under_way: int = 0
    busy: bool = False
    run: list[str] = field(default_factory=list)
    """The ids of the run that is under way, if one is."""
    held: Held[E] | None = None
    partition: int = -1
    count: int = 0
    """The number of partitions that `partition` was chosen among."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known of it but its partition."""
        return not (self.busy or self.waiting or self.held)

    def in_hand(self) -> list[E]:
        """What is in it and not under way, in order."""
        again = self.held.again() if self.held is not None else []
        return [*self.returned, *again, *self.waiting]
