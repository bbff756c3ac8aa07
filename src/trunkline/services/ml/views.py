"""What the registry knows, as it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from trunkline.catalogue.events.model import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A stage that waits for the word of a second person."""

    stage: Stage
    asked_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model. `endpoints` are the replicas that serve it, by endpoint."""

    model: str
    version: int
    source_uri: str
    run_id: str | None
    metrics: Mapping[str, float]
    trained_on: tuple[str, ...]
    stage: Stage
    wanted: Wanted | None
    actor_id: str
    created_at: datetime
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model with its aliases and tags. `last_version` is the last number given, 0 before the first."""

    model: str
    description: str | None
    owner_id: str | None
    last_version: int
    aliases: Mapping[str, int]
    tags: Mapping[str, str]
