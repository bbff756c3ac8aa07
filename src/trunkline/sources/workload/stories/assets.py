"""Lifecycles of what is built: model versions, and tables with their pipelines and checks."""

from collections.abc import Iterator
from typing import Final

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.model import (
    ModelAliasRemoved,
    ModelAliasSet,
    ModelDeleted,
    ModelDeployed,
    ModelDriftDetected,
    ModelRegistered,
    ModelStageChanged,
    ModelTagRemoved,
    ModelTagSet,
    ModelUndeployed,
    ModelVersionCreated,
)
from trunkline.catalogue.events.pipeline import (
    PipelineRunAborted,
    PipelineRunCompleted,
    PipelineRunFailed,
    PipelineRunRunning,
    PipelineRunStarted,
)
from trunkline.catalogue.events.policy import AssetQuarantined, AssetReleased
from trunkline.catalogue.events.quality import (
    AnomalyDetected,
    AnomalyResolved,
    QualityCheckFailed,
    QualityCheckPassed,
    QualityScoreChanged,
    QualitySlaBreached,
)
from trunkline.sources.workload.world import TABLES, TenantState, World

JOBS: Final = ("orders", "customers", "revenue_daily", "inventory", "shipments")
ROWS_MAX: Final = 60_000
FEW_ROWS: Final = 4_000
"""A run that writes fewer rows than this is unusual."""

MODELS: Final = ("churn", "demand", "fraud", "recommendations")
VERSIONS_KEPT: Final = 3
"""Every so many versions an old one is deleted."""


def trained_model(world: World, tenant: TenantState) -> Iterator[Event]:
    """A model gets another version, which replaces the one in production and may drift."""
    rng, user, model = world.rng, world.rng.choice(tenant.users), world.rng.choice(MODELS)
    if tenant.next_version(f"registration:{model}") == 1:
        yield ModelRegistered(model=model, actor_id=user, owner_id=user)
    version = tenant.next_version(f"model:{model}")
    yield ModelVersionCreated(
        model=model,
        version=version,
        actor_id=user,
        source_uri=f"s3://models/{tenant.id}/{model}/{version}",
        run_id=world.number("run"),
        metrics={"auc": round(rng.uniform(0.7, 0.99), 4)},
        trained_on=(f"urn:table:tpch.{rng.choice(TABLES)}",),
    )
    yield ModelTagSet(model=model, version=version, key="reviewed", value="yes", actor_id=user)
    yield ModelStageChanged(
        model=model, version=version, previous_stage="none", stage="production", actor_id=user
    )
    yield ModelAliasSet(model=model, alias="champion", version=version, actor_id=user)
    endpoint = f"{model}-live"
    if version > 1:
        yield ModelUndeployed(model=model, version=version - 1, endpoint=endpoint, actor_id=user)
    if version % VERSIONS_KEPT == 0:
        yield ModelTagRemoved(model=model, version=version - 1, key="reviewed", actor_id=user)
        yield ModelDeleted(model=model, version=version - 2, actor_id=user, reason="out of use")
    yield ModelDeployed(model=model, version=version, endpoint=endpoint, actor_id=user, replicas=2)
    if rng.random() < 0.2:
        yield ModelDriftDetected(
            model=model, version=version, metric="psi", value=round(rng.uniform(0.2, 0.6), 3), threshold=0.2
        )
        yield ModelAliasRemoved(model=model, alias="champion", actor_id=user)


def ran_pipeline(world: World, tenant: TenantState) -> Iterator[Event]:
    """A pipeline writes a table, which is checked, and kept from readers while it fails its checks."""
    rng, job = world.rng, world.rng.choice(JOBS)
    run_id, name, rows = world.number("run"), f"dbt.{job}", rng.randrange(500, ROWS_MAX)
    read, written = (f"warehouse.raw_{job}",), (f"warehouse.{job}",)
    yield PipelineRunStarted(run_id=run_id, job=name, namespace="warehouse", inputs=read, trigger="schedule")
    chance = rng.random()
    if chance < 0.04:
        yield PipelineRunAborted(
            run_id=run_id,
            job=name,
            namespace="warehouse",
            duration_ms=rng.randrange(100, 5_000),
            actor_id=rng.choice(tenant.users),
        )
        return
    if chance < 0.12:
        yield PipelineRunFailed(
            run_id=run_id,
            job=name,
            namespace="warehouse",
            duration_ms=rng.randrange(100, 5_000),
            error_code="source_unreachable",
            message="connection refused",
        )
        yield QualitySlaBreached(
            sla_id=f"sla:{tenant.id}:{job}",
            asset=f"urn:table:{written[0]}",
            dimension="freshness",
            due_at=world.now(),
            severity="critical",
        )
        return
    yield PipelineRunRunning(
        run_id=run_id, job=name, namespace="warehouse", progress_percent=50, rows_written=rows // 2
    )
    yield PipelineRunCompleted(
        run_id=run_id,
        job=name,
        namespace="warehouse",
        duration_ms=rng.randrange(1_000, 90_000),
        inputs=read,
        outputs=written,
        rows_read=rows,
        rows_written=rows,
        bytes_written=rows * 60,
    )
    if rows < FEW_ROWS:
        yield from _anomalous(world, asset=f"urn:table:{written[0]}", rows=rows)
    yield from _checked(world, tenant, asset=f"urn:table:{written[0]}", run_id=run_id, rows=rows)


def _anomalous(world: World, *, asset: str, rows: int) -> Iterator[Event]:
    """A run that wrote unusually little is noticed, until the next one is as usual."""
    anomaly_id = world.number("an")
    yield AnomalyDetected(
        anomaly_id=anomaly_id,
        asset=asset,
        metric="rows_written",
        observed=float(rows),
        expected_low=float(FEW_ROWS),
        expected_high=float(ROWS_MAX),
        score=round(1 - rows / FEW_ROWS, 3),
    )
    yield AnomalyResolved(
        anomaly_id=anomaly_id,
        asset=asset,
        metric="rows_written",
        lasted_ms=world.rng.randrange(60_000, 7_200_000),
    )


def _checked(world: World, tenant: TenantState, *, asset: str, run_id: str, rows: int) -> Iterator[Event]:
    check_id = f"chk:{tenant.id}:{asset}:completeness"
    if world.rng.random() >= 0.15:
        yield QualityCheckPassed(
            check_id=check_id, asset=asset, dimension="completeness", rows_checked=rows, run_id=run_id
        )
        return
    rows_failed = world.rng.randrange(1, rows)
    yield QualityCheckFailed(
        check_id=check_id,
        asset=asset,
        dimension="completeness",
        severity="error",
        rows_checked=rows,
        rows_failed=rows_failed,
        message=f"{rows_failed} rows lack a key",
        run_id=run_id,
    )
    percent = 100 - -(-rows_failed * 100 // rows)
    yield QualityScoreChanged(asset=asset, percent=percent, previous_percent=100, dimension="completeness")
    quarantine = world.number("dec")
    yield AssetQuarantined(
        asset=asset, decision_id=quarantine, reason="a check failed", actor_id="governance-service"
    )
    yield QualityCheckPassed(check_id=check_id, asset=asset, dimension="completeness", rows_checked=rows)
    yield AssetReleased(
        asset=asset,
        decision_id=world.number("dec"),
        reason="the check passes again",
        actor_id="governance-service",
        quarantine_id=quarantine,
    )
