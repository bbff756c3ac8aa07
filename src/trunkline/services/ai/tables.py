"""Runs of agents and their steps. `migrations/` creates the tables; a test holds the two together."""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")

RUN: Final = Table(
    "agent_run",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("session_id", Text),
    Column("state", Text, nullable=False),
    Column("started_us", Int64, nullable=False),
    Column("ended_us", Int64),
    # What the steps add up to.
    Column("steps", Int64, nullable=False),
    Column("tool_calls", Int64, nullable=False),
    Column("input_tokens", Int64, nullable=False),
    Column("output_tokens", Int64, nullable=False),
    Column("error_code", Text),
    PrimaryKeyConstraint("tenant", "run_id"),
    Index("agent_run_by_start", "tenant", "started_us", "run_id"),
    sqlite_strict=True,
)

STEP: Final = Table(
    "agent_step",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("step", Int64, nullable=False),
    # Whoever does not know whether a step was recorded sends it again under the same key.
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("tool", Text),
    Column("outcome", Text),
    Column("duration_ms", Int64),
    Column("query_id", Text),
    Column("provider", Text),
    Column("model", Text),
    Column("input_tokens", Int64),
    Column("output_tokens", Int64),
    Column("cached_input_tokens", Int64),
    Column("calls", Int64),
    PrimaryKeyConstraint("tenant", "run_id", "step"),
    UniqueConstraint("tenant", "run_id", "key", name="agent_step_key"),
    sqlite_strict=True,
)

AGENTS: Final = Component("agents", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
