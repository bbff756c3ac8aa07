"""What the HTTP API takes and gives, where that is not what the queries give."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trunkline.catalogue.events.config import Level
from trunkline.client.broadcast.entries import Kind, Name
from trunkline.services.config.views import ChangeView, Difference, EntryView, PlanView


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which name, why, and from which version on. `at` is when; without it at once."""

    key: str
    level: Level = "global"
    scope: str | None = None
    reason: str | None = None
    expected_version: int | None = None
    at: datetime | None = None

    def name(self, kind: Kind) -> Name:
        """The name."""
        return Name(kind, self.level, self.scope, self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueBody(About):
    """A setting's value, any JSON."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsetBody(About):
    """Takes a setting or a flag off its level."""

    kind: Kind = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagBody(About):
    """Whom a flag is on for."""

    enabled: bool
    rollout_percent: int = 100
    tiers: tuple[str, ...] = ()
    starts_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBody:
    """Back to what a version was."""

    key: str
    to_version: int
    kind: Kind = "value"
    level: Level = "global"
    scope: str | None = None
    reason: str | None = None
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries by key; `next` is the cursor of those behind them."""

    items: list[EntryView]
    next: str | None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Changes, the newest first."""

    items: list[ChangeView]
    next: str | None


@dataclass(frozen=True, slots=True)
class PlanPage:
    """Plans, the newest first."""

    items: list[PlanView]
    next: str | None


@dataclass(frozen=True, slots=True)
class Differences:
    """What is set differently; `complete` is False where there are more."""

    items: list[Difference]
    complete: bool


@dataclass(frozen=True, slots=True)
class SnapshotBody:
    """Everything on record, unset names included, and the digest that an up-to-date instance has."""

    digest: str
    entries: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceBody:
    """How an instance stands, by what it said last."""

    service: str
    instance: str
    standing: str
    behind: int
    seen_seconds: float
    digest: str
    rejected: int
    last_rejected: str | None
