"""The events that follow from what was found, each with an id that follows from it, too. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.quality import (
    AnomalyDetected,
    AnomalyResolved,
    Dimension,
    QualityScoreChanged,
    QualitySlaBreached,
    Severity,
)
from trunkline.codec import derive_id
from trunkline.services.quality.facts import from_us
from trunkline.services.quality.statistics import Verdict
from trunkline.services.settings.quality import Metric

DIMENSIONS: Final[Mapping[Metric, Dimension]] = MappingProxyType(
    {"rows_written": "volume", "schema": "schema", "freshness": "freshness"}
)
"""Metrics that say something of the data itself; how queries fare is no quality of it."""


@dataclass(frozen=True, slots=True)
class Emission:
    """An event to publish: its id, its time, and the id of the event that it follows from."""

    id: str
    at_us: int
    event: Event
    cause: str | None


@dataclass(slots=True, kw_only=True)
class Anomaly:
    """Something unusual about a metric of an asset, from where it began until it was resolved.

    `last_us` is the last window that was out of range, `windows` how many were. One that only the clock has
    raised so far is not `confirmed`.
    """

    id: str
    asset: str
    metric: Metric
    began_us: int
    raised_us: int
    observed: float
    low: float
    high: float
    score: float
    last_us: int
    windows: int = 1
    resolved_us: int | None = None
    note: str | None = None
    confirmed: bool = True

    @property
    def percent(self) -> int:
        """What is left of the asset's score: how near a volume is to its range; of the others nothing."""
        if self.metric != "rows_written":
            return 0
        if self.observed < self.low:
            return min(99, int(100 * self.observed / self.low))
        return min(99, int(100 * self.high / self.observed)) if self.observed > 0 else 0


def new_anomaly(
    tenant: str, asset: str, metric: Metric, *, began_us: int, raised_us: int, verdict: Verdict
) -> Anomaly:
    """The anomaly that begins there; its id follows from tenant, asset, metric and place."""
    return Anomaly(
        id=derive_id("quality-anomaly", tenant, asset, metric, str(began_us)),
        asset=asset,
        metric=metric,
        began_us=began_us,
        raised_us=raised_us,
        observed=verdict.observed,
        low=verdict.low,
        high=verdict.high,
        score=verdict.score,
        last_us=began_us,
    )


def detected(anomaly: Anomaly, cause: str | None) -> list[Emission]:
    """That it began."""
    event = AnomalyDetected(
        anomaly_id=anomaly.id,
        asset=anomaly.asset,
        metric=anomaly.metric,
        observed=anomaly.observed,
        expected_low=anomaly.low,
        expected_high=anomaly.high,
        score=anomaly.score,
    )
    first = Emission(derive_id(anomaly.id, "detected"), anomaly.raised_us, event, cause)
    return [first, *_scored(anomaly, anomaly.raised_us, 100, anomaly.percent, cause)]


def resolved(anomaly: Anomaly, cause: str | None) -> list[Emission]:
    """That it ended, at its `resolved_us`."""
    end_us = anomaly.raised_us if anomaly.resolved_us is None else anomaly.resolved_us
    event = AnomalyResolved(
        anomaly_id=anomaly.id,
        asset=anomaly.asset,
        metric=anomaly.metric,
        lasted_ms=max(0, end_us - anomaly.raised_us) // 1_000,
    )
    first = Emission(derive_id(anomaly.id, "resolved"), end_us, event, cause)
    return [first, *_scored(anomaly, end_us, anomaly.percent, 100, cause)]


def _scored(anomaly: Anomaly, at_us: int, previous: int, percent: int, cause: str | None) -> list[Emission]:
    dimension = DIMENSIONS.get(anomaly.metric)
    if dimension is None:
        return []
    event = QualityScoreChanged(
        asset=anomaly.asset, percent=percent, previous_percent=previous, dimension=dimension
    )
    return [Emission(derive_id(anomaly.id, "score", str(percent)), at_us, event, cause)]


def breached(tenant: str, promise: str, asset: str, *, due_us: int, severity: Severity) -> Emission:
    """That an asset was not written to by the time promised."""
    event = QualitySlaBreached(
        sla_id=promise, asset=asset, dimension="freshness", due_at=from_us(due_us), severity=severity
    )
    return Emission(derive_id("quality-promise", tenant, promise, asset, str(due_us)), due_us, event, None)
