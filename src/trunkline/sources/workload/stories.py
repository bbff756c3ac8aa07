"""Lifecycles, each told as a generator of events of one tenant in causal order.

A story says what happens; who publishes it, on which topic, when and with which identity is the stream's
part.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, TypeAlias

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.access import (
    ApiKeyCreated,
    ApiKeyRevoked,
    DataAccessed,
    LoginFailed,
    LoginSucceeded,
    PermissionGranted,
    PermissionRevoked,
    RoleAssigned,
)
from trunkline.catalogue.events.agent import (
    AgentRunCompleted,
    AgentRunFailed,
    AgentRunStarted,
    AgentTokensUsed,
    AgentToolCalled,
)
from trunkline.catalogue.events.config import ConfigFlagChanged, ConfigValueSet, ConfigValueUnset
from trunkline.catalogue.events.model import (
    ModelAliasSet,
    ModelDeployed,
    ModelDriftDetected,
    ModelRegistered,
    ModelStageChanged,
    ModelVersionCreated,
)
from trunkline.catalogue.events.pipeline import (
    PipelineRunCompleted,
    PipelineRunFailed,
    PipelineRunRunning,
    PipelineRunStarted,
)
from trunkline.catalogue.events.policy import (
    AssetQuarantined,
    AssetReleased,
    ClassificationChanged,
    PolicyBundleActivated,
    PolicyPublished,
)
from trunkline.catalogue.events.quality import QualityCheckFailed, QualityCheckPassed, QualityScoreChanged
from trunkline.catalogue.events.query import (
    QueryCancelled,
    QueryCompleted,
    QueryDenied,
    QueryFailed,
    QuerySubmitted,
)
from trunkline.catalogue.events.tenant import (
    TenantActivated,
    TenantCreated,
    TenantProvisioningFailed,
    TenantReactivated,
    TenantSuspended,
    TenantTierChanged,
)
from trunkline.catalogue.events.usage import UsagePeriodClosed, UsageQuotaExceeded, UsageThresholdReached
from trunkline.sources.workload.world import LIMITS, TIERS, UNITS, TenantState, World

Story: TypeAlias = Callable[[World, TenantState], Iterator[Event]]

JOBS: Final = ("orders", "customers", "revenue_daily", "inventory", "shipments")
MODELS: Final = ("churn", "demand", "fraud", "recommendations")
SETTINGS: Final = ("query.timeout_ms", "query.rows_max", "export.rows_max", "session.idle_ms")
FLAGS: Final = ("ai.sql_assistant", "ui.new_editor", "query.result_cache")
TABLES: Final = ("customer", "lineitem", "nation", "orders", "part", "supplier")


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
    tenant.suspended = True
    yield TenantSuspended(name=tenant.id, reason_code="payment_overdue", actor_id="billing")
    tenant.suspended = False
    yield TenantReactivated(name=tenant.id, actor_id="billing", note="paid")


def queried(world: World, tenant: TenantState) -> Iterator[Event]:
    """A user runs a query, which a policy may refuse or the user may stop."""
    user, chance = world.rng.choice(tenant.users), world.rng.random()
    if chance < 0.03:
        yield QueryDenied(
            query_id=world.number("q"),
            user_id=user,
            resource=f"urn:table:tpch.{world.rng.choice(TABLES)}",
            policy_id="p-restricted",
            policy_revision=tenant.policy_revision,
        )
    elif chance < 0.05:
        query_id, measured = world.number("q"), world.query()
        yield QuerySubmitted(
            query_id=query_id,
            user_id=user,
            engine="duckdb",
            sql_fingerprint=measured.fingerprint,
            sql=measured.sql,
        )
        yield QueryCancelled(
            query_id=query_id, user_id=user, cancelled_by=user, ran_for_ms=world.rng.randrange(1, 90_000)
        )
    else:
        yield from _executed(world, tenant, user, origin="user")


def _executed(world: World, tenant: TenantState, user: str, *, origin: str) -> Iterator[Event]:
    query_id, measured = world.number("q"), world.query()
    yield QuerySubmitted(
        query_id=query_id,
        user_id=user,
        engine="duckdb",
        sql_fingerprint=measured.fingerprint,
        sql=measured.sql,
        origin=origin,
    )
    if measured.error_code is not None:
        yield QueryFailed(
            query_id=query_id,
            user_id=user,
            engine="duckdb",
            error_code=measured.error_code,
            message=measured.error or "",
            duration_us=measured.duration_us,
        )
        return
    yield QueryCompleted(
        query_id=query_id,
        user_id=user,
        engine="duckdb",
        sql_fingerprint=measured.fingerprint,
        tables=measured.tables,
        duration_us=measured.duration_us,
        cpu_us=measured.cpu_us,
        rows_returned=measured.rows_returned,
        rows_scanned=measured.rows_scanned,
        bytes_scanned=measured.bytes_scanned,
        origin=origin,
        policy_revision=tenant.policy_revision or None,
    )
    yield from _used(world, tenant, "QUERY_EXECUTIONS", 1)


def _used(world: World, tenant: TenantState, meter: str, quantity: int) -> Iterator[Event]:
    """Books usage, and tells of each level of the limit that it is the first to reach."""
    period = world.period()
    used, limit, reached = tenant.use(meter, period, quantity)
    for level in reached:
        yield UsageThresholdReached(
            meter=meter,
            period=period,
            level_percent=level,
            used=str(used),
            limit=str(limit),
            unit=UNITS[meter],
            reached_at=world.now(),
        )
    if 100 in reached:
        yield UsageQuotaExceeded(
            meter=meter, period=period, used=str(used), limit=str(limit), unit=UNITS[meter]
        )


def closed_period(world: World, tenant: TenantState) -> Iterator[Event]:
    """Billing closes the month before."""
    period = world.previous_period()
    totals = {meter: str(world.rng.randrange(limits[tenant.tier])) for meter, limits in LIMITS.items()}
    yield UsagePeriodClosed(
        period=period,
        closed_at=world.now(),
        events=world.rng.randrange(100, 100_000),
        totals=totals,
        digest=hashlib.sha256(repr(sorted(totals.items())).encode()).hexdigest(),
    )


def ran_agent(world: World, tenant: TenantState) -> Iterator[Event]:
    """An agent answers a user's question, with a query if it needs one."""
    rng, user = world.rng, world.rng.choice(tenant.users)
    run_id, agent_id = world.number("r"), "sql-analyst"
    yield AgentRunStarted(run_id=run_id, agent_id=agent_id, user_id=user)
    steps = rng.randrange(1, 4)
    input_tokens = output_tokens = 0
    for _ in range(steps):
        step_input, step_output = rng.randrange(200, 4_000), rng.randrange(20, 800)
        input_tokens, output_tokens = input_tokens + step_input, output_tokens + step_output
        yield AgentTokensUsed(
            run_id=run_id,
            agent_id=agent_id,
            provider="in_house",
            model="analyst-70b",
            input_tokens=step_input,
            output_tokens=step_output,
            cached_input_tokens=step_input // 4,
        )
        yield from _used(world, tenant, "LLM_TOKENS", step_input + step_output)
    if rng.random() < 0.06:
        yield AgentRunFailed(
            run_id=run_id,
            agent_id=agent_id,
            user_id=user,
            error_code="model_unavailable",
            message="the model did not answer in time",
            duration_ms=30_000,
        )
        return
    yield AgentToolCalled(
        run_id=run_id,
        agent_id=agent_id,
        tool="run_query",
        outcome="success",
        duration_ms=rng.randrange(5, 900),
    )
    yield from _executed(world, tenant, user, origin="agent")
    yield AgentRunCompleted(
        run_id=run_id,
        agent_id=agent_id,
        user_id=user,
        duration_ms=rng.randrange(800, 20_000),
        steps=steps,
        tool_calls=1,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def trained_model(world: World, tenant: TenantState) -> Iterator[Event]:
    """A model gets another version, which goes to production and may drift."""
    rng, user, model = world.rng, world.rng.choice(tenant.users), world.rng.choice(MODELS)
    version = tenant.next_version(f"model:{model}")
    if version == 1:
        yield ModelRegistered(model=model, actor_id=user, owner_id=user)
    yield ModelVersionCreated(
        model=model,
        version=version,
        actor_id=user,
        source_uri=f"s3://models/{tenant.id}/{model}/{version}",
        run_id=world.number("run"),
        metrics={"auc": round(rng.uniform(0.7, 0.99), 4)},
        trained_on=(f"urn:table:tpch.{rng.choice(TABLES)}",),
    )
    yield ModelStageChanged(
        model=model, version=version, previous_stage="none", stage="production", actor_id=user
    )
    yield ModelAliasSet(model=model, alias="champion", version=version, actor_id=user)
    yield ModelDeployed(model=model, version=version, endpoint=f"{model}-live", actor_id=user, replicas=2)
    if rng.random() < 0.2:
        yield ModelDriftDetected(
            model=model, version=version, metric="psi", value=round(rng.uniform(0.2, 0.6), 3), threshold=0.2
        )


def ran_pipeline(world: World, tenant: TenantState) -> Iterator[Event]:
    """A pipeline writes a table, which is checked, and kept from readers while it fails its checks."""
    rng, job = world.rng, world.rng.choice(JOBS)
    run_id, name, rows = world.number("run"), f"dbt.{job}", rng.randrange(500, 60_000)
    read, written = (f"warehouse.raw_{job}",), (f"warehouse.{job}",)
    yield PipelineRunStarted(run_id=run_id, job=name, namespace="warehouse", inputs=read, trigger="schedule")
    if rng.random() < 0.08:
        yield PipelineRunFailed(
            run_id=run_id,
            job=name,
            namespace="warehouse",
            duration_ms=rng.randrange(100, 5_000),
            error_code="source_unreachable",
            message="connection refused",
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
    yield from _checked(world, tenant, asset=f"urn:table:{written[0]}", run_id=run_id, rows=rows)


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


def configured(world: World, tenant: TenantState) -> Iterator[Event]:
    """Somebody changes a setting or a flag, and sometimes takes a setting back."""
    rng, actor = world.rng, tenant.users[0]
    if rng.random() < 0.3:
        flag = rng.choice(FLAGS)
        yield ConfigFlagChanged(
            key=flag,
            version=tenant.next_version(f"flag:{flag}"),
            enabled=rng.random() < 0.7,
            rollout_percent=rng.choice((5, 25, 50, 100)),
            actor_id=actor,
        )
        return
    key = rng.choice(SETTINGS)
    yield ConfigValueSet(
        key=key,
        level="tenant",
        value=rng.randrange(1, 120) * 1_000,
        version=tenant.next_version(f"setting:{key}"),
        actor_id=actor,
        scope=tenant.id,
    )
    if rng.random() < 0.2:
        yield ConfigValueUnset(
            key=key,
            level="tenant",
            version=tenant.next_version(f"setting:{key}"),
            actor_id=actor,
            scope=tenant.id,
        )


def logged_in(world: World, tenant: TenantState) -> Iterator[Event]:
    """A user logs in, at once or after mistyping, and reads some data."""
    rng, user = world.rng, world.rng.choice(tenant.users)
    source_ip = f"192.0.2.{rng.randrange(1, 255)}"
    if rng.random() < 0.15:
        for attempt in range(1, rng.randrange(2, 4)):
            yield LoginFailed(
                user_id=user,
                method="password",
                reason="bad_credentials",
                attempts=attempt,
                source_ip=source_ip,
            )
    yield LoginSucceeded(user_id=user, method="password", source_ip=source_ip, session_id=world.number("s"))
    yield DataAccessed(
        actor_type="user",
        actor_id=user,
        operation=rng.choice(("read", "export")),
        resource=f"urn:table:tpch.{rng.choice(TABLES)}",
        outcome="success",
        rows=rng.randrange(1, 10_000),
    )


def administered(world: World, tenant: TenantState) -> Iterator[Event]:
    """An administrator gives a user a role, a permission until it is revoked, and a key until it is rotated."""
    admin, user = tenant.users[0], world.rng.choice(tenant.users[1:])
    resource, key_id = f"urn:table:tpch.{world.rng.choice(TABLES)}", world.number("k")
    yield RoleAssigned(actor_id=admin, user_id=user, role="analyst")
    yield PermissionGranted(
        actor_id=admin,
        grantee_id=user,
        permission="query.execute",
        resource=resource,
        expires_at=world.now() + timedelta(days=90),
    )
    yield ApiKeyCreated(actor_id=admin, key_id=key_id, last_four="x7Qa", name="nightly export")
    yield ApiKeyRevoked(actor_id=admin, key_id=key_id, reason="rotated")
    yield PermissionRevoked(
        actor_id=admin,
        grantee_id=user,
        permission="query.execute",
        resource=resource,
        reason="no longer needed",
    )


def governed(world: World, tenant: TenantState) -> Iterator[Event]:
    """A policy is published and decides from the next bundle on; a column is classified."""
    rng, actor, table = world.rng, tenant.users[0], world.rng.choice(TABLES)
    policy_id = f"p-{table}"
    version = tenant.next_version(f"policy:{policy_id}")
    yield PolicyPublished(
        policy_id=policy_id,
        version=version,
        kind="access",
        mode="enforce",
        scope=f"urn:table:tpch.{table}",
        body='forbid (principal, action, resource) unless { principal in Team::"analysts" };',
        actor_id=actor,
    )
    tenant.policies[policy_id] = version
    tenant.policy_revision += 1
    members = dict(sorted(tenant.policies.items()))
    yield PolicyBundleActivated(
        revision=tenant.policy_revision,
        digest=hashlib.sha256(repr(members).encode()).hexdigest(),
        policies=len(members),
        members=members,
        previous_revision=tenant.policy_revision - 1,
    )
    yield ClassificationChanged(
        asset=f"urn:column:tpch.{table}.comment",
        classification=rng.choice(("public", "internal", "personal")),
        actor_id=actor,
    )
