"""Runs of jobs, and each step that they took. Times are microseconds since 1970."""

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

PIPELINE_RUN: Final = Table(
    "pipeline_run",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Int64, nullable=False),
    # The first time anything was heard of the run: the order in which runs are listed.
    Column("known_us", Int64, nullable=False),
    Column("started_us", Int64),
    Column("ended_us", Int64),
    Column("progress_percent", Int64),
    Column("rows_written", Int64, nullable=False),
    # JSON lists of URNs, sorted.
    Column("inputs", Text, nullable=False),
    Column("outputs", Text, nullable=False),
    Column("message", Text),
    Column("parent_run_id", Text),
    PrimaryKeyConstraint("tenant", "run_id"),
    Index("pipeline_run_by_time", "tenant", "known_us", "run_id"),
    Index("pipeline_run_by_job", "tenant", "job", "known_us"),
    sqlite_strict=True,
)

PIPELINE_STEP: Final = Table(
    "pipeline_step",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("number", Int64, nullable=False),
    Column("id", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("attempt", Int64, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "run_id", "number"),
    UniqueConstraint("tenant", "run_id", "id", name="pipeline_step_event"),
    sqlite_strict=True,
)
"""What was published of a run, numbered from 1: `id` is the event's."""

PIPELINE: Final = Component("pipeline", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
