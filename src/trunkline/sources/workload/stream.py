"""An endless stream of a platform's events over all ten topics, the same for the same seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from trunkline.catalogue.events import EVENT_TYPES, Event, declaration_of
from trunkline.catalogue.load import load_catalogue
from trunkline.catalogue.model import Catalogue
from trunkline.catalogue.names import ServiceName, TenantId, TopicName
from trunkline.codec.envelope import Envelope
from trunkline.codec.identity import derive_id
from trunkline.errors import InvalidInput
from trunkline.sources.workload.queries import MeasuredQuery, measure_queries
from trunkline.sources.workload.stories import Story, account, assets, control, work
from trunkline.sources.workload.world import TenantState, World

CONCURRENT_STORIES: Final = 24
"""How many lifecycles are under way at once: enough that tenants and topics interleave."""

# How often each story begins, of a hundred: a platform mostly runs queries, and seldom suspends anybody.
WEIGHTS: Final[tuple[tuple[Story, int], ...]] = (
    (work.queried, 43),
    (work.ran_agent, 14),
    (assets.ran_pipeline, 12),
    (control.logged_in, 12),
    (control.configured, 6),
    (assets.trained_model, 4),
    (control.governed, 3),
    (control.administered, 2),
    (account.changed_tier, 1),
    (account.suspended, 1),
    (account.reconsidered, 1),
    (control.erased, 1),
)

# What happens to every tenant first. Together these reach all ten topics.
OPENING: Final[tuple[Story, ...]] = (
    account.signed_up,
    control.logged_in,
    control.governed,
    control.configured,
    account.closed_period,
    work.queried,
    assets.ran_pipeline,
    assets.trained_model,
    work.ran_agent,
)


PEOPLE: Final = frozenset({"account", "permission", "subject"})
"""Kinds of resources that are named after people."""


@dataclass(frozen=True, slots=True)
class Produced:
    """One event and who publishes it where."""

    service: ServiceName
    topic: TopicName
    envelope: Envelope[Event]


def workload(
    seed: int,
    tenants: Sequence[TenantId],
    *,
    clock: Callable[[], datetime],
    queries: Sequence[MeasuredQuery] | None = None,
    catalogue: Catalogue | None = None,
) -> Iterator[Produced]:
    """Events of these tenants without end, in an order in which they may be published.

    Ids follow from the seed and an event's place in the stream: the same arguments give the same ids, and a
    feed that adds to an earlier one needs another seed. The clock, which must tell timezone-aware times,
    dates each event as it is drawn. `queries` are the executions that query events report, over and over;
    without them TPC-H runs once, here, before the first event. Raises `InvalidInput` for no tenants, for a
    catalogue without one of the topics, and where DuckDB is needed and not installed.
    """
    if not tenants:
        raise InvalidInput("a workload needs at least one tenant")
    measured = measure_queries() if queries is None else queries
    if not measured:
        raise InvalidInput("a workload needs at least one measured query")
    contract = catalogue or load_catalogue()
    absent = sorted({declaration.topic for declaration in EVENT_TYPES.values()} - contract.topics.keys())
    if absent:
        raise InvalidInput(f"a workload publishes on every topic; the catalogue lacks {', '.join(absent)}")
    world = World(seed, tenants, clock=clock, queries=measured)
    return _interleave(world, _Narrator(seed, world, contract))


def _interleave(world: World, narrator: "_Narrator") -> Iterator[Produced]:
    """Advances one story at a time, chosen at random; a new one begins where one ends."""
    waiting = [narrator.open(tenant) for tenant in reversed(world.tenants)]
    running: list[Iterator[Produced]] = []
    while True:
        while len(running) < CONCURRENT_STORIES:
            running.append(waiting.pop() if waiting else narrator.begin())
        chosen = world.rng.randrange(len(running))
        produced = next(running[chosen], None)
        if produced is None:
            running[chosen] = running[-1]
            running.pop()
        else:
            yield produced


class _Narrator:
    """Turns stories into envelopes: identity, correlation, causation, time and publisher."""

    def __init__(self, seed: int, world: World, catalogue: Catalogue) -> None:
        self._seed = str(seed)
        self._world = world
        self._services = {topic.name: topic.publisher for topic in catalogue.topics.values()}
        self._events = 0
        self._open: list[TenantState] = []
        self._stories = [story for story, _ in WEIGHTS]
        self._weights = [weight for _, weight in WEIGHTS]

    def open(self, tenant: TenantState) -> Iterator[Produced]:
        """The opening of a tenant; other stories of it begin once it is over."""
        for story in OPENING:
            yield from self._tell(story, tenant)
        self._open.append(tenant)

    def begin(self) -> Iterator[Produced]:
        """Some story of some tenant that is open and not suspended; an empty one while there is none."""
        candidates = [tenant for tenant in self._open if not tenant.suspended]
        if not candidates:
            return iter(())
        story = self._world.rng.choices(self._stories, self._weights)[0]
        return self._tell(story, self._world.rng.choice(candidates))

    def _tell(self, story: Story, tenant: TenantState) -> Iterator[Produced]:
        correlation: str | None = None
        cause: str | None = None
        for event in story(self._world, tenant):
            produced = self._produce(event, tenant.id, correlation=correlation, cause=cause)
            cause = produced.envelope.id
            correlation = correlation or cause
            yield produced

    def _produce(
        self, event: Event, tenant: TenantId, *, correlation: str | None, cause: str | None
    ) -> Produced:
        declaration = declaration_of(event)
        service = self._services[declaration.topic]
        event_id = derive_id("workload", self._seed, str(self._events))
        self._events += 1
        envelope = Envelope(
            id=event_id,
            source=f"//{service}/workload",
            type=declaration.type,
            tenantid=tenant,
            time=self._world.now(),
            data=event,
            subject=_subject(event),
            correlationid=correlation or event_id,
            causationid=cause,
        )
        return Produced(service, declaration.topic, envelope)


def _subject(event: Event) -> str | None:
    """What an event is about, unless that is a person: the envelope outlives an erasure of the content."""
    summary = event.summary()
    return None if summary.resource_type in PEOPLE else summary.resource_id or None
