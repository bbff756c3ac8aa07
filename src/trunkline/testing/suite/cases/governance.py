"""Governance: checks that flap, come late and escalate; assets are quarantined and released by dozens."""

import random
from datetime import timedelta
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.quality import (
    AnomalyDetected,
    AnomalyResolved,
    QualityCheckFailed,
    QualityCheckPassed,
    QualitySlaBreached,
    Severity,
)
from trunkline.codec import Envelope, new_envelope
from trunkline.services.governance.state import state_digest
from trunkline.testing.suite.case import Case
from trunkline.testing.suite.streams import EVENTS, START, STEP, TENANTS

ASSETS: Final = ("urn:table:main.orders", "urn:table:main.customers", "urn:model:churn", "Sales.Items")
CHECKS: Final = ("chk-null", "chk-unique", "chk-fresh")
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "error", "critical")
LATE_SHARE: Final = 0.1
PASS_SHARE: Final = 0.7
SETTINGS: Final = {
    "governance.quarantine.error": {"fails": 2, "runs": 4, "mode": "enforce"},
    "governance.quarantine.warning": {"fails": 2, "runs": 3, "mode": "warn"},
    "governance.quarantine.release_passes": 2,
}


def quality_events(seed: int) -> list[Envelope[Event]]:
    """Results of checks of four tenants; some are reported long after they came about."""
    rng = random.Random(seed)  # noqa: S311 - a seed makes a stream, no secret
    return [_envelope(rng, number) for number in range(EVENTS)]


def _envelope(rng: random.Random, number: int) -> Envelope[Event]:
    late = rng.randrange(1, 40) if rng.random() < LATE_SHARE else 0
    return new_envelope(
        _event(rng, number),
        tenant=rng.choice(TENANTS),
        source="/data-quality-service",
        id=f"quality-{number}",
        time=START + (number - late) * STEP + timedelta(seconds=rng.randrange(60)),
    )


def _event(rng: random.Random, number: int) -> Event:
    asset, check = rng.choice(ASSETS), rng.choice(CHECKS)
    chance = rng.random()
    if chance < 0.05:
        return QualitySlaBreached(
            sla_id=f"sla-{asset}", asset=asset, dimension="freshness", due_at=START, severity="critical"
        )
    if chance < 0.1:
        return AnomalyDetected(
            anomaly_id=f"an-{number % 20}",
            asset=asset,
            metric="rows_written",
            observed=1.0,
            expected_low=2.0,
            expected_high=3.0,
            score=0.9,
        )
    if chance < 0.15:
        return AnomalyResolved(
            anomaly_id=f"an-{number % 20}", asset=asset, metric="rows_written", lasted_ms=1
        )
    if rng.random() < PASS_SHARE:
        return QualityCheckPassed(check_id=check, asset=asset, dimension="freshness")
    return QualityCheckFailed(
        check_id=check, asset=asset, dimension="freshness", severity=rng.choice(SEVERITIES)
    )


CASE: Final = Case(
    service="governance-service", digest=state_digest, events=quality_events, settings=SETTINGS
)
