"""Usage against what a tenant may use: what Billing Service publishes.

Quantities and money are decimal texts, never floats.
"""

from typing import Annotated, TypeAlias

from msgspec import Meta

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    Currency,
    DecimalText,
    Identifier,
    Instant,
    Reason,
    Sha256,
    whole,
)

TOPIC = "billing.usage.events"

Meter: TypeAlias = Annotated[str, Meta(pattern=whole("[A-Z][A-Z0-9_]{0,63}"))]
"""What is counted, for instance `QUERY_EXECUTIONS`."""

Period: TypeAlias = Annotated[str, Meta(pattern=whole("[0-9]{4}-(?:0[1-9]|1[0-2])"))]
"""A calendar month in UTC, for instance `2026-11`."""

Level: TypeAlias = Annotated[int, Meta(ge=1, le=1_000)]
"""Percent of the limit."""

_METER = AuditRule(resource="meter", resource_id="meter")
_PERIOD = AuditRule(resource="billing_period", resource_id="period")


@event(
    "usage.threshold_reached.v1",
    topic=TOPIC,
    audit=_METER,
    example={
        "meter": "QUERY_EXECUTIONS",
        "period": "2026-11",
        "level_percent": 80,
        "used": "800",
        "limit": "1000",
        "unit": "queries",
        "reached_at": "2026-11-23T07:00:00Z",
    },
)
class UsageThresholdReached(Event, frozen=True, kw_only=True):
    """Usage of a meter passed a level of its limit, for the first time in the period."""

    meter: Meter
    period: Period
    level_percent: Level
    used: DecimalText
    limit: DecimalText
    unit: Identifier
    reached_at: Instant


@event(
    "usage.quota_exceeded.v1",
    topic=TOPIC,
    audit=AuditRule(resource="meter", resource_id="meter", outcome="denied"),
    example={
        "meter": "LLM_TOKENS",
        "period": "2026-11",
        "used": "1000412",
        "limit": "1000000",
        "unit": "tokens",
        "enforced": False,
    },
)
class UsageQuotaExceeded(Event, frozen=True, kw_only=True):
    """Usage of a meter is above its limit. `enforced` says whether more is refused."""

    meter: Meter
    period: Period
    used: DecimalText
    limit: DecimalText
    unit: Identifier
    enforced: bool = False


@event(
    "usage.period_closed.v1",
    topic=TOPIC,
    audit=_PERIOD,
    example={
        "period": "2026-10",
        "closed_at": "2026-11-05T00:00:00Z",
        "events": 48211,
        "totals": {"QUERY_EXECUTIONS": "9120", "LLM_TOKENS": "4334561"},
        "amount": "182.40",
        "currency": "EUR",
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
)
class UsagePeriodClosed(Event, frozen=True, kw_only=True):
    """A period is final: what arrives later becomes a correction. `digest` covers its usage records."""

    period: Period
    closed_at: Instant
    events: Count
    totals: dict[Meter, DecimalText]
    digest: Sha256
    amount: DecimalText | None = None
    currency: Currency | None = None


@event(
    "usage.correction_recorded.v1",
    topic=TOPIC,
    audit=_METER,
    example={
        "correction_id": "cor-3",
        "meter": "QUERY_EXECUTIONS",
        "period": "2026-10",
        "booked_in": "2026-11",
        "delta": "-12",
        "unit": "queries",
        "reason": "events arrived after the period was closed",
    },
)
class UsageCorrectionRecorded(Event, frozen=True, kw_only=True):
    """Usage of a closed period changed by `delta`, which is billed in the period `booked_in`."""

    correction_id: Identifier
    meter: Meter
    period: Period
    booked_in: Period
    delta: DecimalText
    unit: Identifier
    reason: Reason | None = None
