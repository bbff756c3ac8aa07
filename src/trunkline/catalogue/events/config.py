"""Configuration values and feature flags: what Config Service publishes, to every service.

Per scope and key the highest `version` wins, in whatever order the events come. Secrets are references, never
values.
"""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    Identifier,
    Instant,
    Percent,
    Positive,
    Reason,
    Sha256,
    whole,
)

TOPIC = "config.change.events"

Key: TypeAlias = Annotated[str, Meta(pattern=whole("[a-z][a-z0-9_]*(?:[.-][a-z0-9_]+)*"), max_length=200)]
"""The dotted name of a setting, for instance `query.timeout_ms`."""

Level: TypeAlias = Literal["global", "environment", "service", "tenant"]
"""The narrower level wins when a value is looked up: global, environment, service, tenant."""

_KEY = AuditRule(resource="config_key", resource_id="key", actor_id="actor_id")


@event(
    "config.value_set.v1",
    topic=TOPIC,
    audit=_KEY,
    example={
        "key": "query.timeout_ms",
        "level": "tenant",
        "value": 30000,
        "version": 7,
        "actor_id": "u-1",
        "scope": "acme",
        "reason": "long reports",
    },
)
class ConfigValueSet(Event, frozen=True, kw_only=True):
    """A setting has this value, any JSON, on this level; `scope` names the environment, service or tenant."""

    key: Key
    level: Level
    value: Any
    version: Positive
    actor_id: Identifier
    scope: Identifier | None = None
    reason: Reason | None = None


@event(
    "config.value_unset.v1",
    topic=TOPIC,
    audit=_KEY,
    example={"key": "query.timeout_ms", "level": "tenant", "version": 8, "actor_id": "u-1", "scope": "acme"},
)
class ConfigValueUnset(Event, frozen=True, kw_only=True):
    """A setting has no value on this level any more; the wider one shows through."""

    key: Key
    level: Level
    version: Positive
    actor_id: Identifier
    scope: Identifier | None = None
    reason: Reason | None = None


@event(
    "config.flag_changed.v1",
    topic=TOPIC,
    audit=_KEY,
    example={
        "key": "ai.sql_assistant",
        "version": 3,
        "enabled": True,
        "rollout_percent": 25,
        "actor_id": "u-1",
        "tiers": ["professional", "enterprise"],
        "starts_at": "2026-12-01T00:00:00Z",
    },
)
class ConfigFlagChanged(Event, frozen=True, kw_only=True):
    """A feature flag: on for the tiers named, and for this share of the other tenants.

    `removed` takes it off the record: everybody's flag shows through a tenant's, the default through that. A
    reader that does not know the field sees a flag that is off.
    """

    key: Key
    version: Positive
    enabled: bool
    actor_id: Identifier
    rollout_percent: Percent = 100
    tiers: tuple[Identifier, ...] = ()
    starts_at: Instant | None = None
    reason: Reason | None = None
    removed: bool = False


@event(
    "config.snapshot_published.v1",
    topic=TOPIC,
    audit=AuditRule(resource="config_snapshot", resource_id="snapshot_id"),
    example={
        "snapshot_id": "snap-12",
        "version": 12,
        "entries": 2,
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "part": 1,
        "parts": 1,
        "values": [{"key": "query.timeout_ms", "level": "tenant", "scope": "acme", "value": 1, "version": 7}],
    },
)
class ConfigSnapshotPublished(Event, frozen=True, kw_only=True):
    """Everything in force, published again before retention forgets it; parts are numbered from 1."""

    snapshot_id: Identifier
    version: Positive
    entries: Count
    digest: Sha256
    values: tuple[dict[str, Any], ...]
    part: Positive = 1
    parts: Positive = 1
