"""Runs and their steps."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "pipeline_run",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", INT64, nullable=False),
        sa.Column("known_us", INT64, nullable=False),
        sa.Column("started_us", INT64),
        sa.Column("ended_us", INT64),
        sa.Column("progress_percent", INT64),
        sa.Column("rows_written", INT64, nullable=False),
        sa.Column("inputs", sa.Text, nullable=False),
        sa.Column("outputs", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("parent_run_id", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "run_id"),
        sqlite_strict=True,
    )
    op.create_index("pipeline_run_by_time", "pipeline_run", ["tenant", "known_us", "run_id"])
    op.create_index("pipeline_run_by_job", "pipeline_run", ["tenant", "job", "known_us"])
    op.create_table(
        "pipeline_step",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("number", INT64, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("attempt", INT64, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "run_id", "number"),
        sa.UniqueConstraint("tenant", "run_id", "id", name="pipeline_step_event"),
        sqlite_strict=True,
    )
