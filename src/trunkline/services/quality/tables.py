"""What is known of a tenant's assets. Times are microseconds since 1970, of events unless said otherwise."""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.sqlite import REAL

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
Measured: Final[Double[float]] = Double().with_variant(REAL, "sqlite")
"""What is compared and never summed."""

QUALITY_TENANT: Final = Table(
    "quality_tenant",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("newest_us", Int64, nullable=False),
    # By the clock of the machine, to tell a tenant that is silent from one that is behind.
    Column("arrived_us", Int64, nullable=False),
    sqlite_strict=True,
)

QUALITY_EVENT: Final = Table(
    "quality_event",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "source", "id"),
    Index("quality_event_by_time", "tenant", "at_us"),
    sqlite_strict=True,
)
"""Which events are counted: the consumer's own memory of them may be restored to an earlier state."""

QUALITY_ASSET: Final = Table(
    "quality_asset",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("first_us", Int64, nullable=False),
    Column("last_read_us", Int64),
    Column("last_write_us", Int64),
    Column("reads", Int64, nullable=False),
    Column("writes", Int64, nullable=False),
    Column("failures", Int64, nullable=False),
    # Of the loads: how many minutes apart they are, with what tolerance, and when the next one is overdue.
    Column("period_us", Int64),
    Column("tolerance_us", Int64),
    Column("due_us", Int64),
    PrimaryKeyConstraint("tenant", "asset"),
    Index("quality_asset_by_due", "due_us"),
    sqlite_strict=True,
)

QUALITY_WINDOW: Final = Table(
    "quality_window",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("width_us", Int64, nullable=False),
    Column("start_us", Int64, nullable=False),
    Column("reads", Int64, nullable=False),
    Column("writes", Int64, nullable=False),
    Column("failures", Int64, nullable=False),
    Column("measured", Int64, nullable=False),
    Column("rows_written", Int64, nullable=False),
    Column("timed", Int64, nullable=False),
    Column("log_sum", Int64, nullable=False),
    Column("columns_hash", Text),
    Column("columns_us", Int64, nullable=False),
    Column("late", Int64, nullable=False),
    Column("closed", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "asset", "width_us", "start_us"),
    Index("quality_window_by_state", "tenant", "closed"),
    sqlite_strict=True,
)

QUALITY_LOAD: Final = Table(
    "quality_load",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("slot", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "asset", "slot"),
    sqlite_strict=True,
)
"""In which five minutes an asset was written to."""

QUALITY_ANOMALY: Final = Table(
    "quality_anomaly",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("metric", Text, nullable=False),
    # Where it began: the window's start, or the load that nothing followed.
    Column("began_us", Int64, nullable=False),
    Column("raised_us", Int64, nullable=False),
    Column("observed", Measured, nullable=False),
    Column("low", Measured, nullable=False),
    Column("high", Measured, nullable=False),
    Column("score", Measured, nullable=False),
    # The last window that was out of range, and how many were.
    Column("last_us", Int64, nullable=False),
    Column("windows", Int64, nullable=False),
    Column("resolved_us", Int64),
    Column("note", Text),
    # 0: raised by the clock only, which another run over the same events may not repeat.
    Column("confirmed", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
    Index("quality_anomaly_by_asset", "tenant", "asset", "raised_us"),
    Index("quality_anomaly_by_time", "tenant", "raised_us", "id"),
    sqlite_strict=True,
)

QUALITY_BREACH: Final = Table(
    "quality_breach",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("promise", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("due_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "promise", "due_us"),
    sqlite_strict=True,
)

QUALITY_PENDING: Final = Table(
    "quality_pending",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("query_id", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("candidates", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "query_id"),
    sqlite_strict=True,
)
"""What the statement of a query under way takes for granted; without any literal of it."""

QUALITY_CHECK: Final = Table(
    "quality_check",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("dimension", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("support", Int64, nullable=False),
    # What somebody said: active or muted; NULL while it is a proposal.
    Column("decided", Text),
    Column("decided_by", Text),
    PrimaryKeyConstraint("tenant", "id"),
    Index("quality_check_by_asset", "tenant", "asset"),
    sqlite_strict=True,
)

QUALITY_RESULT: Final = Table(
    "quality_result",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("check_id", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("dimension", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("passed", Int64, nullable=False),
    Column("severity", Text),
    Column("rows_checked", Int64, nullable=False),
    Column("rows_failed", Int64, nullable=False),
    Column("run_id", Text),
    Column("message", Text),
    PrimaryKeyConstraint("tenant", "id"),
    Index("quality_result_by_check", "tenant", "check_id", "at_us"),
    Index("quality_result_by_asset", "tenant", "asset", "at_us"),
    sqlite_strict=True,
)

QUALITY: Final = Component("quality", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""

ALL: Final = (
    QUALITY_TENANT,
    QUALITY_EVENT,
    QUALITY_ASSET,
    QUALITY_WINDOW,
    QUALITY_LOAD,
    QUALITY_ANOMALY,
    QUALITY_BREACH,
    QUALITY_PENDING,
    QUALITY_CHECK,
    QUALITY_RESULT,
)
"""Every table, each with a column `tenant`."""
