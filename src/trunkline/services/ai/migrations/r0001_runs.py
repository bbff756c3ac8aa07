"""Runs of agents and their steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "agent_run",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("agent_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("session_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_us", INT64, nullable=False),
        sa.Column("ended_us", INT64),
        sa.Column("steps", INT64, nullable=False),
        sa.Column("tool_calls", INT64, nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "run_id"),
        sqlite_strict=True,
    )
    op.create_index("agent_run_by_start", "agent_run", ["tenant", "started_us", "run_id"])
    op.create_table(
        "agent_step",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("step", INT64, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("tool", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("duration_ms", INT64),
        sa.Column("query_id", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("input_tokens", INT64),
        sa.Column("output_tokens", INT64),
        sa.Column("cached_input_tokens", INT64),
        sa.Column("calls", INT64),
        sa.PrimaryKeyConstraint("tenant", "run_id", "step"),
        sa.UniqueConstraint("tenant", "run_id", "key", name="agent_step_key"),
        sqlite_strict=True,
    )
