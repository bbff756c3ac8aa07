"""Policies and what they decided about assets: what Governance Service publishes."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    DurationMs,
    Identifier,
    Instant,
    JsonObject,
    Percent,
    Positive,
    Reason,
    Sha256,
    Sql,
    Urn,
    Word,
)

TOPIC = "governance.policy.events"

Kind: TypeAlias = Literal["access", "row_filter", "mask", "retention", "quarantine"]
Mode: TypeAlias = Literal["monitor", "warn", "enforce"]

PARTS_MAX: Final = 64
"""Of a snapshot: what is larger is no bundle."""

_POLICY = AuditRule(resource="policy", resource_id="policy_id", actor_id="actor_id")
_ASSET = AuditRule(resource="asset", resource_id="asset", actor_id="actor_id")


@event(
    "policy.published.v1",
    topic=TOPIC,
    audit=_POLICY,
    example={
        "policy_id": "p-salary",
        "version": 2,
        "kind": "access",
        "mode": "enforce",
        "scope": "urn:table:hr.salary",
        "body": 'forbid (principal, action, resource) unless { principal in Team::"people" };',
        "actor_id": "u-40",
        "title": "Salaries are for the people team",
    },
)
class PolicyPublished(Event, frozen=True, kw_only=True):
    """A version of a policy exists. It decides nothing before a bundle with it is activated.

    `body` is the text of the policy: Cedar for access, an SQL predicate for a row filter, an SQL expression
    for a mask.
    """

    policy_id: Identifier
    version: Positive
    kind: Kind
    mode: Mode
    scope: Urn
    body: Sql
    actor_id: Identifier
    title: Reason | None = None


@event(
    "policy.revoked.v1",
    topic=TOPIC,
    audit=_POLICY,
    example={"policy_id": "p-salary", "version": 2, "actor_id": "u-40", "reason": "replaced by p-people"},
)
class PolicyRevoked(Event, frozen=True, kw_only=True):
    """A policy is withdrawn, in this version and all before it."""

    policy_id: Identifier
    version: Positive
    actor_id: Identifier
    reason: Reason | None = None


@event(
    "policy.bundle_activated.v1",
    topic=TOPIC,
    audit=AuditRule(resource="policy_bundle", resource_id="digest"),
    example={
        "revision": 5,
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "policies": 3,
        "previous_revision": 4,
        "members": {"p-salary": 2, "p-emea": 1, "p-pii": 9},
    },
)
class PolicyBundleActivated(Event, frozen=True, kw_only=True):
    """From here on this set of policy versions decides. `revision` only grows."""

    revision: Positive
    digest: Sha256
    policies: Count
    members: dict[Identifier, Positive]
    previous_revision: Count = 0


@event(
    "policy.asset_quarantined.v1",
    topic=TOPIC,
    audit=_ASSET,
    example={
        "asset": "urn:table:warehouse.orders",
        "decision_id": "dec-8",
        "reason": "3 failed checks in 5 runs",
        "actor_id": "governance-service",
        "mode": "enforce",
        "until": "2026-12-01T00:00:00Z",
    },
)
class AssetQuarantined(Event, frozen=True, kw_only=True):
    """An asset may not be read until it is released, or only with a warning, by mode."""

    asset: Urn
    decision_id: Identifier
    reason: Reason
    actor_id: Identifier
    mode: Mode = "enforce"
    until: Instant | None = None


@event(
    "policy.asset_released.v1",
    topic=TOPIC,
    audit=_ASSET,
    example={
        "asset": "urn:table:warehouse.orders",
        "decision_id": "dec-9",
        "reason": "5 checks passed",
        "actor_id": "governance-service",
        "quarantine_id": "dec-8",
    },
)
class AssetReleased(Event, frozen=True, kw_only=True):
    """A quarantined asset may be read again; `quarantine_id` is the decision that this one ends."""

    asset: Urn
    decision_id: Identifier
    reason: Reason
    actor_id: Identifier
    quarantine_id: Identifier | None = None


@event(
    "policy.classification_changed.v1",
    topic=TOPIC,
    audit=_ASSET,
    example={
        "asset": "urn:column:sales.customer.c_phone",
        "classification": "personal",
        "previous": "internal",
        "actor_id": "u-40",
        "confidence_percent": 98,
    },
)
class ClassificationChanged(Event, frozen=True, kw_only=True):
    """An asset is of another class of data."""

    asset: Urn
    classification: Word
    actor_id: Identifier
    previous: Word | None = None
    confidence_percent: Percent | None = None


@event(
    "policy.snapshot_published.v1",
    topic=TOPIC,
    audit=AuditRule(resource="policy_bundle", resource_id="digest"),
    example={
        "revision": 5,
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "policies": [
            {
                "policy_id": "p-emea",
                "version": 1,
                "kind": "row_filter",
                "mode": "enforce",
                "scope": "urn:table:sales.orders",
                "body": "region = 'EMEA'",
            }
        ],
        "part": 1,
        "parts": 1,
    },
)
class PolicySnapshotPublished(Event, frozen=True, kw_only=True):
    """The active bundle with its whole policies, repeated before retention forgets what it is made of.

    An item of `policies` has the members of `policy.published.v1` but the actor. Parts are numbered from 1
    and published in a row; the digest is of the whole.
    """

    revision: Count
    digest: Sha256
    policies: tuple[JsonObject, ...]
    part: Positive = 1
    parts: Annotated[int, Meta(ge=1, le=PARTS_MAX)] = 1


@event(
    "policy.heartbeat.v1",
    topic=TOPIC,
    audit=AuditRule(resource="policy_heartbeat", resource_id="sequence"),
    example={
        "sequence": 17,
        "sent_at": "2026-11-23T08:00:05Z",
        "every_ms": 5000,
        "bundles": 12,
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
)
class PolicyHeartbeat(Event, frozen=True, kw_only=True):
    """Governance is there, under the tenant `system`: who hears none for long cannot know what it missed.

    `bundles` tells how many tenants have an active bundle, `digest` is over all of them: SHA-256 of the lines
    `TENANT REVISION DIGEST`, sorted.
    """

    sequence: Positive
    sent_at: Instant
    every_ms: DurationMs
    bundles: Count
    digest: Sha256
