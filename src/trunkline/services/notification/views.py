"""What queries answer with: plain values, ready for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt. `unknown` is the outcome of one that nobody has seen the end of."""

    number: int
    at: datetime
    took_ms: float
    outcome: str
    status: int | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One delivery. `why` says in words what its state and reason mean."""

    id: str
    notification: str
    channel: str
    target: str
    state: str
    reason: str | None
    why: str
    attempts: int
    due_at: datetime | None
    changed_at: datetime
    trail: Sequence[AttemptView] = ()


@dataclass(frozen=True, slots=True)
class NotificationView:
    """One notification, told or not."""

    id: str
    kind: str
    rule: str
    rule_version: int
    title: str
    severity: str
    category: str
    group: str
    created_at: datetime
    told: bool
    subject: str | None
    text: str | None
    deliveries: Sequence[DeliveryView] = ()


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident."""

    id: str
    rule: str
    key: str
    state: str
    severity: str
    count: int
    first_at: datetime | None
    last_at: datetime | None
    resolved_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What one rule made of an event, with the notification that it is in."""

    rule: str
    rule_version: int
    outcome: str
    why: str
    incident: str | None
    notification: NotificationView | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one event: what rules made of it, and why others had nothing to say.

    `not_concerned` gives the reason by rule, by the rules in force now.
    """

    event: str
    source: str
    type: str
    time: datetime
    received_at: datetime
    summary: str
    decisions: Sequence[DecisionView]
    not_concerned: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InboxView:
    """One thing in an inbox."""

    seq: int
    id: str
    notification: str
    recipient: str
    kind: str
    severity: str
    category: str
    subject: str
    text: str
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class SilenceView:
    """One silence."""

    id: str
    everybody: bool
    matches: Mapping[str, Any]
    starts_at: datetime
    ends_at: datetime
    actor: str
    comment: str


@dataclass(frozen=True, slots=True)
class PreferenceView:
    """What a user chose; an empty category or channel is any."""

    user: str
    category: str
    channel: str
    mode: str


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel that is in force, and how its endpoint does."""

    name: str
    kind: str
    everybody: bool
    failing_since: datetime | None
    disabled_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a rule would have done with events of the past."""

    events: int
    fires: int
    resolves: int
    incidents: int
    notifications: int
    failed: Mapping[str, str]
    examples: Sequence[str]
