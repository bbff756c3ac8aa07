"""Checks of data: what Data Quality Service publishes."""

from typing import Literal, TypeAlias

from trunkline.catalogue.events.audit_view import AuditRule
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import (
    Count,
    DurationMs,
    Identifier,
    Instant,
    Measure,
    Percent,
    Ratio,
    Reason,
    Urn,
    Word,
)

TOPIC = "data.quality.events"

Dimension: TypeAlias = Literal[
    "completeness", "validity", "uniqueness", "consistency", "freshness", "volume", "schema"
]
Severity: TypeAlias = Literal["info", "warning", "error", "critical"]

_CHECK = AuditRule(resource="quality_check", resource_id="check_id")
_ANOMALY = AuditRule(resource="anomaly", resource_id="anomaly_id")


@event(
    "quality.check_passed.v1",
    topic=TOPIC,
    audit=_CHECK,
    example={
        "check_id": "chk-1",
        "asset": "urn:table:warehouse.orders",
        "dimension": "completeness",
        "rows_checked": 2990,
        "run_id": "7f0c1a52-0000-7000-8000-000000000001",
    },
)
class QualityCheckPassed(Event, frozen=True, kw_only=True):
    """A check of an asset held; `run_id` names the pipeline run that it followed."""

    check_id: Identifier
    asset: Urn
    dimension: Dimension
    rows_checked: Count = 0
    run_id: Identifier | None = None


@event(
    "quality.check_failed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="quality_check", resource_id="check_id", outcome="failure"),
    example={
        "check_id": "chk-1",
        "asset": "urn:table:warehouse.orders",
        "dimension": "completeness",
        "severity": "error",
        "rows_checked": 2990,
        "rows_failed": 12,
        "message": "o_custkey is null in 12 rows",
        "run_id": "7f0c1a52-0000-7000-8000-000000000001",
    },
)
class QualityCheckFailed(Event, frozen=True, kw_only=True):
    """A check of an asset did not hold."""

    check_id: Identifier
    asset: Urn
    dimension: Dimension
    severity: Severity
    rows_checked: Count = 0
    rows_failed: Count = 0
    message: Reason | None = None
    run_id: Identifier | None = None


@event(
    "quality.anomaly_detected.v1",
    topic=TOPIC,
    audit=_ANOMALY,
    example={
        "anomaly_id": "an-4",
        "asset": "urn:table:warehouse.orders",
        "metric": "rows_written",
        "observed": 310.0,
        "expected_low": 2800.0,
        "expected_high": 3200.0,
        "score": 0.97,
    },
)
class AnomalyDetected(Event, frozen=True, kw_only=True):
    """A metric of an asset left the range that its history lets expect. `score` is how sure that is."""

    anomaly_id: Identifier
    asset: Urn
    metric: Word
    observed: Measure
    expected_low: Measure
    expected_high: Measure
    score: Ratio


@event(
    "quality.anomaly_resolved.v1",
    topic=TOPIC,
    audit=_ANOMALY,
    example={
        "anomaly_id": "an-4",
        "asset": "urn:table:warehouse.orders",
        "metric": "rows_written",
        "lasted_ms": 7200000,
    },
)
class AnomalyResolved(Event, frozen=True, kw_only=True):
    """The metric is back in its range."""

    anomaly_id: Identifier
    asset: Urn
    metric: Word
    lasted_ms: DurationMs


@event(
    "quality.score_changed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="asset", resource_id="asset"),
    example={
        "asset": "urn:table:warehouse.orders",
        "dimension": "completeness",
        "previous_percent": 100,
        "percent": 96,
    },
)
class QualityScoreChanged(Event, frozen=True, kw_only=True):
    """An asset's score changed, in one dimension or, without one, as a whole."""

    asset: Urn
    percent: Percent
    previous_percent: Percent | None = None
    dimension: Dimension | None = None


@event(
    "quality.sla_breached.v1",
    topic=TOPIC,
    audit=AuditRule(resource="sla", resource_id="sla_id", outcome="failure"),
    example={
        "sla_id": "sla-9",
        "asset": "urn:table:warehouse.orders",
        "dimension": "freshness",
        "due_at": "2026-11-23T07:00:00Z",
        "severity": "critical",
    },
)
class QualitySlaBreached(Event, frozen=True, kw_only=True):
    """What was promised for an asset was not kept by its time."""

    sla_id: Identifier
    asset: Urn
    dimension: Dimension
    due_at: Instant
    severity: Severity
