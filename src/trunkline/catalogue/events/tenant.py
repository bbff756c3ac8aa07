"""The life of a tenant: what Tenant Service publishes."""

from typing import Literal, TypeAlias

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import Email, Identifier, Instant, Reason, Title, Word

TOPIC = "tenant.lifecycle.events"

Tier: TypeAlias = Literal["free", "starter", "professional", "enterprise"]

_TENANT = AuditRule(resource="tenant", resource_id="name", actor_id="actor_id")


@event(
    "tenant.created.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={
        "name": "acme",
        "tier": "professional",
        "region": "eu-west-1",
        "actor_id": "u-1",
        "display_name": "Acme Corporation",
        "admin_email": "ada@acme.example",
    },
)
class TenantCreated(Event, frozen=True, kw_only=True):
    """A tenant was signed up; it cannot be used before it is activated."""

    name: Identifier
    tier: Tier
    region: Identifier
    actor_id: Identifier
    display_name: Title | None = None
    admin_email: Email | None = None


@event(
    "tenant.activated.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={"name": "acme", "tier": "professional", "actor_id": "provisioner"},
)
class TenantActivated(Event, frozen=True, kw_only=True):
    """Provisioning ended well; the tenant can be used and is billed from here."""

    name: Identifier
    tier: Tier
    actor_id: Identifier


@event(
    "tenant.tier_changed.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={
        "name": "acme",
        "previous_tier": "professional",
        "tier": "enterprise",
        "effective_at": "2026-12-01T00:00:00Z",
        "actor_id": "u-1",
    },
)
class TenantTierChanged(Event, frozen=True, kw_only=True):
    """A tenant moves to another tier, from `effective_at` on."""

    name: Identifier
    previous_tier: Tier
    tier: Tier
    effective_at: Instant
    actor_id: Identifier


@event(
    "tenant.suspended.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={
        "name": "acme",
        "reason_code": "payment_overdue",
        "actor_id": "billing",
        "note": "60 days overdue",
    },
)
class TenantSuspended(Event, frozen=True, kw_only=True):
    """An active tenant may do nothing until it is reactivated."""

    name: Identifier
    reason_code: Word
    actor_id: Identifier
    note: Reason | None = None


@event(
    "tenant.reactivated.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={"name": "acme", "actor_id": "billing", "note": "paid"},
)
class TenantReactivated(Event, frozen=True, kw_only=True):
    """A suspended tenant is active again."""

    name: Identifier
    actor_id: Identifier
    note: Reason | None = None


@event(
    "tenant.deletion_scheduled.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={
        "name": "acme",
        "delete_at": "2027-01-31T00:00:00Z",
        "actor_id": "u-1",
        "note": "contract ended",
    },
)
class TenantDeletionScheduled(Event, frozen=True, kw_only=True):
    """A tenant is in its grace period; its data is kept until `delete_at`."""

    name: Identifier
    delete_at: Instant
    actor_id: Identifier
    note: Reason | None = None


@event(
    "tenant.deleted.v1",
    topic=TOPIC,
    audit=_TENANT,
    example={"name": "acme", "actor_id": "reaper"},
)
class TenantDeleted(Event, frozen=True, kw_only=True):
    """A tenant is gone. Every service erases what it holds of it and drops what still arrives."""

    name: Identifier
    actor_id: Identifier


@event(
    "tenant.provisioning_failed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="tenant", resource_id="name", outcome="failure"),
    example={"name": "acme", "step": "create_namespace", "message": "quota exceeded", "retryable": True},
)
class TenantProvisioningFailed(Event, frozen=True, kw_only=True):
    """A step of provisioning failed; `retryable` says whether trying again can help."""

    name: Identifier
    step: Word
    message: Reason
    retryable: bool = False
