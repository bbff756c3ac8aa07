"""What the settings say about billing at one moment, checked. Pure.

A setting that is bad in spite of the check at `config set` is refused here, visibly, and what was in force
before it stays in force.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, TypeVar

from trunkline.client.broadcast.entries import Resolution
from trunkline.errors import InvalidInput
from trunkline.services.app import Settings
from trunkline.services.billing.exact import ZERO
from trunkline.services.billing.months import DAY_US
from trunkline.services.billing.thresholds import Limit
from trunkline.services.settings.billing import (
    GRACE_DAYS,
    METER,
    PLAN,
    PROVIDER,
    QUOTA,
    Meter,
    Plan,
    Quota,
    code_of,
)
from trunkline.services.settings.registry import Definition

GRACE_DAYS_DEFAULT: Final = 35
PROVIDER_DEFAULT: Final = "Trunkline"

PLANS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "free": Plan(limits={"QUERY_EXECUTIONS": 50, "LLM_TOKENS": 50_000}),
        "starter": Plan(limits={"QUERY_EXECUTIONS": 500, "LLM_TOKENS": 500_000}),
        "professional": Plan(limits={"QUERY_EXECUTIONS": 5_000, "LLM_TOKENS": 5_000_000}),
        "enterprise": Plan(limits={"QUERY_EXECUTIONS": 50_000, "LLM_TOKENS": 50_000_000}),
    }
)
"""What the tiers may use until `billing.plans.TIER` says otherwise."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """A setting that is not in force, and why."""

    key: str
    tenant: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is in force. Quotas are by tenant and meter, None for what holds for everybody."""

    plans: Mapping[str, Plan] = field(default_factory=lambda: PLANS)
    quotas: Mapping[tuple[str | None, str], Quota] = field(default_factory=dict)
    meters: Mapping[str, Meter] = field(default_factory=dict)
    grace_us: int = GRACE_DAYS_DEFAULT * DAY_US
    provider: str = PROVIDER_DEFAULT
    refused: tuple[Refused, ...] = ()

    def limit(self, tenant: str, meter: str, tier: str | None) -> Limit | None:
        """What a tenant of a tier may use of a meter in a month; None without bounds.

        A quota, the tenant's own before everybody's, goes before the plan.
        """
        quota = self.quotas.get((tenant, meter)) or self.quotas.get((None, meter))
        if quota is not None:
            return Limit(Decimal(quota.limit), quota.thresholds)
        plan = self.plans.get(tier or "")
        if plan is None or meter not in plan.limits:
            return None
        return Limit(Decimal(plan.limits[meter]), plan.thresholds)

    def price(self, meter: str, tier: str | None) -> Decimal:
        """What a unit costs on a tier; 0 where the plan has no price."""
        plan = self.plans.get(tier or "")
        return ZERO if plan is None else Decimal(plan.prices.get(meter, 0))

    def currency(self, tier: str | None) -> str:
        """What a tier is billed in."""
        return self.plans.get(tier or "", _NO_PLAN).currency


_NO_PLAN: Final = Plan()

DEFAULT: Final = Terms()
"""With nothing configured."""


def read_terms(settings: Settings, before: Terms = DEFAULT) -> Terms:
    """What is in force under these settings, and `before` where they are bad."""
    refused: list[Refused] = []
    plans = _all(settings, PLAN, {(None, tier): plan for tier, plan in before.plans.items()}, refused)
    quotas = {
        (tenant, name.upper()): quota
        for (tenant, name), quota in _all(settings, QUOTA, _lowered(before.quotas), refused).items()
    }
    # What a meter was before is in the store, which keeps every version.
    meters = _all(settings, METER, {}, refused)
    grace_days = _one(settings, GRACE_DAYS, GRACE_DAYS_DEFAULT, before.grace_us // DAY_US, refused)
    return Terms(
        plans={**PLANS, **{tier: plan for (_, tier), plan in plans.items()}},
        quotas=quotas,
        meters={code_of(name): meter for (_, name), meter in meters.items()},
        grace_us=grace_days * DAY_US,
        provider=_one(settings, PROVIDER, PROVIDER_DEFAULT, before.provider, refused),
        refused=tuple(refused),
    )


def _all(
    settings: Settings,
    definition: Definition[T],
    before: Mapping[tuple[str | None, str], T],
    refused: list[Refused],
) -> dict[tuple[str | None, str], T]:
    """Every setting of this form, by tenant and last part of its key."""
    prefix = definition.pattern.removesuffix("*")
    found: dict[tuple[str | None, str], T] = {}
    for (tenant, key), resolution in _sorted(settings.under(prefix).items()):
        name = (tenant or None, key.removeprefix(prefix))
        value = _read(definition, key, tenant or None, resolution, refused)
        value = before.get(name) if value is None else value
        if value is not None:
            found[name] = value
    return found


def _one(settings: Settings, definition: Definition[T], default: T, before: T, refused: list[Refused]) -> T:
    resolution = settings.resolve(definition.pattern)
    if resolution.level is None:
        return default
    value = _read(definition, definition.pattern, None, resolution, refused)
    return before if value is None else value


def _read(
    definition: Definition[T], key: str, tenant: str | None, resolution: Resolution, refused: list[Refused]
) -> T | None:
    try:
        return definition.read(key, resolution.value)
    except InvalidInput as error:
        refused.append(Refused(key, tenant, str(error)))
        return None


def _sorted(
    items: Iterable[tuple[tuple[str | None, str], Resolution]],
) -> list[tuple[tuple[str, str], Resolution]]:
    """By tenant, everybody's first, and key."""
    return sorted((((tenant or "", key), found) for (tenant, key), found in items), key=lambda item: item[0])


def _lowered(quotas: Mapping[tuple[str | None, str], Any]) -> dict[tuple[str | None, str], Any]:
    return {(tenant, meter.lower()): quota for (tenant, meter), quota in quotas.items()}
