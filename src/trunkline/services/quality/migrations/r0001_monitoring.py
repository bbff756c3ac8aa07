"""Assets, their windows, anomalies and checks."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.sqlite import REAL

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")
MEASURED: sa.Double[float] = sa.Double().with_variant(REAL, "sqlite")


def upgrade() -> None:
    op.create_table(
        "quality_tenant",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("newest_us", INT64, nullable=False),
        sa.Column("arrived_us", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "quality_event",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "id"),
        sqlite_strict=True,
    )
    op.create_index("quality_event_by_time", "quality_event", ["tenant", "at_us"])
    op.create_table(
        "quality_asset",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("first_us", INT64, nullable=False),
        sa.Column("last_read_us", INT64),
        sa.Column("last_write_us", INT64),
        sa.Column("reads", INT64, nullable=False),
        sa.Column("writes", INT64, nullable=False),
        sa.Column("failures", INT64, nullable=False),
        sa.Column("period_us", INT64),
        sa.Column("tolerance_us", INT64),
        sa.Column("due_us", INT64),
        sa.PrimaryKeyConstraint("tenant", "asset"),
        sqlite_strict=True,
    )
    op.create_index("quality_asset_by_due", "quality_asset", ["due_us"])
    op.create_table(
        "quality_window",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("width_us", INT64, nullable=False),
        sa.Column("start_us", INT64, nullable=False),
        sa.Column("reads", INT64, nullable=False),
        sa.Column("writes", INT64, nullable=False),
        sa.Column("failures", INT64, nullable=False),
        sa.Column("measured", INT64, nullable=False),
        sa.Column("rows_written", INT64, nullable=False),
        sa.Column("timed", INT64, nullable=False),
        sa.Column("log_sum", INT64, nullable=False),
        sa.Column("columns_hash", sa.Text),
        sa.Column("columns_us", INT64, nullable=False),
        sa.Column("late", INT64, nullable=False),
        sa.Column("closed", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "asset", "width_us", "start_us"),
        sqlite_strict=True,
    )
    op.create_index("quality_window_by_state", "quality_window", ["tenant", "closed"])
    op.create_table(
        "quality_load",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("slot", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "asset", "slot"),
        sqlite_strict=True,
    )
    op.create_table(
        "quality_anomaly",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("began_us", INT64, nullable=False),
        sa.Column("raised_us", INT64, nullable=False),
        sa.Column("observed", MEASURED, nullable=False),
        sa.Column("low", MEASURED, nullable=False),
        sa.Column("high", MEASURED, nullable=False),
        sa.Column("score", MEASURED, nullable=False),
        sa.Column("last_us", INT64, nullable=False),
        sa.Column("windows", INT64, nullable=False),
        sa.Column("resolved_us", INT64),
        sa.Column("note", sa.Text),
        sa.Column("confirmed", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sqlite_strict=True,
    )
    op.create_index("quality_anomaly_by_asset", "quality_anomaly", ["tenant", "asset", "raised_us"])
    op.create_index("quality_anomaly_by_time", "quality_anomaly", ["tenant", "raised_us", "id"])
    op.create_table(
        "quality_breach",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("promise", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("due_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "promise", "due_us"),
        sqlite_strict=True,
    )
    op.create_table(
        "quality_pending",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("query_id", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("candidates", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "query_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "quality_check",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("dimension", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("support", INT64, nullable=False),
        sa.Column("decided", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sqlite_strict=True,
    )
    op.create_index("quality_check_by_asset", "quality_check", ["tenant", "asset"])
    op.create_table(
        "quality_result",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("check_id", sa.Text, nullable=False),
        sa.Column("asset", sa.Text, nullable=False),
        sa.Column("dimension", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("passed", INT64, nullable=False),
        sa.Column("severity", sa.Text),
        sa.Column("rows_checked", INT64, nullable=False),
        sa.Column("rows_failed", INT64, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("message", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sqlite_strict=True,
    )
    op.create_index("quality_result_by_asset", "quality_result", ["tenant", "asset", "at_us"])
    op.create_index("quality_result_by_check", "quality_result", ["tenant", "check_id", "at_us"])
