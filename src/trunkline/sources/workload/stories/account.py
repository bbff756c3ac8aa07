"""Lifecycles of a tenant as a customer: sign-up, tier, suspension, usage and its closing."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.tenant import (
    TenantActivated,
    TenantCreated,
    TenantDeletionScheduled,
    TenantProvisioningFailed,
    TenantReactivated,
    TenantSuspended,
    TenantTierChanged,
)
from trunkline.catalogue.events.usage import (
    UsageCorrectionRecorded,
    UsagePeriodClosed,
    UsageQuotaExceeded,
    UsageThresholdReached,
)
from trunkline.sources.workload.world import LIMITS, TIERS, UNITS, TenantState, World

GRACE: Final = timedelta(days=30)
"""How long a tenant that is to be deleted may still change its mind."""


def signed_up(world: World, tenant: TenantState) -> Iterator[Event]:
    """A tenant is created and activated, sometimes at the second attempt."""
    yield TenantCreated(
        name=tenant.id,
        tier=tenant.tier,
        region=tenant.region,
        actor_id=tenant.users[0],
        admin_email=f"admin@{tenant.id.lower()}.example",
    )
    if world.rng.random() < 0.1:
        yield TenantProvisioningFailed(
            name=tenant.id, step="create_namespace", message="the cluster did not answer", retryable=True
        )
    yield TenantActivated(name=tenant.id, tier=tenant.tier, actor_id="provisioner")


def changed_tier(world: World, tenant: TenantState) -> Iterator[Event]:
    """A tenant moves to another tier."""
    previous, tenant.tier = tenant.tier, world.rng.choice([tier for tier in TIERS if tier != tenant.tier])
    yield TenantTierChanged(
        name=tenant.id,
        previous_tier=previous,
        tier=tenant.tier,
        effective_at=world.now(),
        actor_id=tenant.users[0],
    )


def suspended(_: World, tenant: TenantState) -> Iterator[Event]:
    """A tenant is suspended, and active again once it has paid."""
    if tenant.suspended:
        return
    tenant.suspended = True
    yield TenantSuspended(name=tenant.id, reason_code="payment_overdue", actor_id="billing")
    tenant.suspended = False
    yield TenantReactivated(name=tenant.id, actor_id="billing", note="paid")


def reconsidered(world: World, tenant: TenantState) -> Iterator[Event]:
    """A tenant is scheduled for deletion and thinks better of it."""
    if tenant.suspended:
        return
    tenant.suspended = True
    yield TenantDeletionScheduled(
        name=tenant.id, delete_at=world.now() + GRACE, actor_id=tenant.users[0], note="contract ended"
    )
    tenant.suspended = False
    yield TenantReactivated(name=tenant.id, actor_id=tenant.users[0], note="contract renewed")


def closed_period(world: World, tenant: TenantState) -> Iterator[Event]:
    """Billing closes the month before; what arrives later is booked as a correction."""
    period = world.previous_period()
    totals = {meter: str(world.rng.randrange(limits[tenant.tier])) for meter, limits in LIMITS.items()}
    yield UsagePeriodClosed(
        period=period,
        closed_at=world.now(),
        events=world.rng.randrange(100, 100_000),
        totals=totals,
        digest=hashlib.sha256(repr(sorted(totals.items())).encode()).hexdigest(),
    )
    if world.rng.random() < 0.3:
        yield UsageCorrectionRecorded(
            correction_id=world.number("cor"),
            meter="QUERY_EXECUTIONS",
            period=period,
            booked_in=world.period(),
            delta=str(world.rng.randrange(-20, 20)),
            unit=UNITS["QUERY_EXECUTIONS"],
            reason="events arrived after the period was closed",
        )


def used(world: World, tenant: TenantState, meter: str, quantity: int) -> Iterator[Event]:
    """Books usage, and tells of each level of the limit that it is the first to reach."""
    period = world.period()
    total, limit, reached = tenant.use(meter, period, quantity)
    for level in reached:
        yield UsageThresholdReached(
            meter=meter,
            period=period,
            level_percent=level,
            used=str(total),
            limit=str(limit),
            unit=UNITS[meter],
            reached_at=world.now(),
        )
    if 100 in reached:
        yield UsageQuotaExceeded(
            meter=meter, period=period, used=str(total), limit=str(limit), unit=UNITS[meter]
        )
