"""Runs of AI agents and the tokens they use: what AI Service publishes.

Token counts follow OpenTelemetry's `gen_ai.usage.*`: input and output, of which some input may come from a
cache.
"""

from trunkline.catalogue.events.audit_view import AuditRule, Outcome
from trunkline.catalogue.events.base import Event, event
from trunkline.catalogue.events.fields import Count, DurationMs, Identifier, Positive, Reason, Word

TOPIC = "ai.agent.events"

_RUN = AuditRule(resource="agent_run", resource_id="run_id", actor_id="user_id")


@event(
    "agent.run_started.v1",
    topic=TOPIC,
    audit=_RUN,
    example={"run_id": "r-1", "agent_id": "sql-analyst", "user_id": "u-17", "session_id": "s-9f2"},
)
class AgentRunStarted(Event, frozen=True, kw_only=True):
    """An agent began to work on a request of a user."""

    run_id: Identifier
    agent_id: Identifier
    user_id: Identifier
    session_id: Identifier | None = None


@event(
    "agent.run_completed.v1",
    topic=TOPIC,
    audit=_RUN,
    example={
        "run_id": "r-1",
        "agent_id": "sql-analyst",
        "user_id": "u-17",
        "duration_ms": 8120,
        "steps": 4,
        "tool_calls": 2,
        "input_tokens": 3100,
        "output_tokens": 420,
    },
)
class AgentRunCompleted(Event, frozen=True, kw_only=True):
    """A run ended with an answer. The token counts repeat the sum of the run's `agent.tokens_used`."""

    run_id: Identifier
    agent_id: Identifier
    user_id: Identifier
    duration_ms: DurationMs
    steps: Count
    tool_calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0


@event(
    "agent.run_failed.v1",
    topic=TOPIC,
    audit=AuditRule(resource="agent_run", resource_id="run_id", actor_id="user_id", outcome="failure"),
    example={
        "run_id": "r-2",
        "agent_id": "sql-analyst",
        "user_id": "u-17",
        "error_code": "model_unavailable",
        "message": "the model did not answer",
        "duration_ms": 30000,
    },
)
class AgentRunFailed(Event, frozen=True, kw_only=True):
    """A run ended without an answer. Tokens it used until then are billed all the same."""

    run_id: Identifier
    agent_id: Identifier
    user_id: Identifier
    error_code: Word
    message: Reason
    duration_ms: DurationMs = 0


@event(
    "agent.tool_called.v1",
    topic=TOPIC,
    audit=AuditRule(
        resource="tool",
        resource_id="tool",
        actor_id="agent_id",
        actor_type="service",
        outcome_field="outcome",
    ),
    example={
        "run_id": "r-1",
        "agent_id": "sql-analyst",
        "tool": "run_query",
        "outcome": "success",
        "duration_ms": 140,
        "query_id": "q-1",
    },
)
class AgentToolCalled(Event, frozen=True, kw_only=True):
    """An agent used a tool; `query_id` where the tool ran a query."""

    run_id: Identifier
    agent_id: Identifier
    tool: Identifier
    outcome: Outcome
    duration_ms: DurationMs
    query_id: Identifier | None = None


@event(
    "agent.tokens_used.v1",
    topic=TOPIC,
    audit=AuditRule(
        resource="language_model", resource_id="model", actor_id="agent_id", actor_type="service"
    ),
    example={
        "run_id": "r-1",
        "agent_id": "sql-analyst",
        "provider": "in_house",
        "model": "analyst-70b",
        "input_tokens": 3100,
        "output_tokens": 420,
        "cached_input_tokens": 1024,
        "calls": 1,
    },
)
class AgentTokensUsed(Event, frozen=True, kw_only=True):
    """Tokens that calls of one language model used. Billing sums them, by model and direction.

    `cached_input_tokens` is the part of `input_tokens` that came from a cache.
    """

    run_id: Identifier
    agent_id: Identifier
    provider: Word
    model: Identifier
    input_tokens: Count
    output_tokens: Count
    cached_input_tokens: Count = 0
    calls: Positive = 1
