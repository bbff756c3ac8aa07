"""Lifecycles of the work of users and agents: queries and agent runs."""

from collections.abc import Iterator

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.agent import (
    AgentRunCompleted,
    AgentRunFailed,
    AgentRunStarted,
    AgentTokensUsed,
    AgentToolCalled,
)
from trunkline.catalogue.events.query import (
    QueryCancelled,
    QueryCompleted,
    QueryDenied,
    QueryFailed,
    QuerySubmitted,
)
from trunkline.sources.workload.stories.account import used
from trunkline.sources.workload.world import TABLES, TenantState, World


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
        yield from executed(world, tenant, user, origin="user")


def executed(world: World, tenant: TenantState, user: str, *, origin: str) -> Iterator[Event]:
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
    yield from used(world, tenant, "QUERY_EXECUTIONS", 1)


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
        yield from used(world, tenant, "LLM_TOKENS", step_input + step_output)
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
    yield from executed(world, tenant, user, origin="agent")
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
