"""The query log: every statement that somebody wanted to run, and what became of it."""

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits, and STRICT tables know no other name for it."""

QUERY_LOG: Final = Table(
    "query_log",
    METADATA,
    # A UUIDv7: in the order of submission, as near as clocks go.
    Column("query_id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    # JSON: sorted lists.
    Column("teams", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("sql", Text, nullable=False),
    # running, completed, failed, cancelled, denied
    Column("state", Text, nullable=False),
    Column("submitted_us", Int64, nullable=False),
    # A query that still runs then has lost its engine.
    Column("overdue_us", Int64, nullable=False),
    Column("ended_us", Int64),
    Column("policy_revision", Int64),
    # JSON: the URNs of what is read.
    Column("tables", Text, nullable=False),
    # Of a denial: by which policy, about which asset. Of a failure: its code.
    Column("policy_id", Text),
    Column("asset", Text),
    Column("error_code", Text),
    Column("reason", Text),
    Column("duration_us", Int64),
    Column("cpu_us", Int64),
    Column("rows_returned", Int64),
    Column("rows_scanned", Int64),
    Column("bytes_scanned", Int64),
    Index("query_log_of_tenant", "tenant", "query_id"),
    Index("query_log_overdue", "state", "overdue_us"),
    sqlite_strict=True,
)

QUERY: Final = Component("query", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the table."""
