"""What the suite needs to know of a service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection

from trunkline.catalogue.events import Event
from trunkline.codec import Envelope
from trunkline.testing.suite.streams import platform_events

Events: TypeAlias = Callable[[int], Sequence[Envelope[Event]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One service under the suite.

    `digest` is its `state_digest`. `events` makes the events of all topics for a seed, each tenant's of a
    topic in their order; the suite picks those that the service consumes. `settings` are values for everybody
    by key. `keeps` are the tables that may name a tenant after its end, such as aggregates that the law wants
    kept, each with the reason.
    """

    service: str
    digest: Callable[[Connection], str]
    events: Events = platform_events
    settings: Mapping[str, Any] = field(default_factory=dict)
    keeps: Mapping[str, str] = field(default_factory=dict)
