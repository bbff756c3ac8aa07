"""The ledger's tables. `migrations/` creates them; a test holds the two together.

`audit_event` columns from `tenant` to `commitment` are the fields of `entry.Entry`, in order. On SQLite the
tables are STRICT, so that a value cannot be hidden from a search by giving it another type.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits, and STRICT tables know no other name for it."""

AUDIT_EVENT: Final = Table(
    "audit_event",
    METADATA,
    # Links an entry to the text index and means nothing else; the leaf hash does not cover it.
    Column("row_id", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("seq", Int64, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("ingested_us", Int64, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Int64, nullable=False),
    Column("offset", Int64, nullable=False),
    Column("timestamp_ms", Int64, nullable=False),
    Column("correlation_id", Text),
    Column("causation_id", Text),
    Column("note", Text),
    Column("key", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("actor_type", Text),
    Column("actor_id", Text),
    Column("action", Text),
    Column("resource_type", Text),
    Column("resource_id", Text),
    Column("outcome", Text),
    Column("body", LargeBinary),
    Column("salt", LargeBinary, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    UniqueConstraint("tenant", "seq", name="audit_event_place"),
    UniqueConstraint("tenant", "source", "id", name="audit_event_identity"),
    Index("audit_event_by_id", "id"),
    Index("audit_event_by_time", "time_us", "tenant", "seq"),
    Index("audit_event_by_tenant_time", "tenant", "time_us", "seq"),
    Index("audit_event_by_actor", "actor_id", "time_us"),
    Index("audit_event_by_action", "action", "time_us"),
    Index("audit_event_by_resource", "resource_id", "time_us"),
    Index("audit_event_by_correlation", "correlation_id", "time_us"),
    sqlite_strict=True,
)

AUDIT_HEAD: Final = Table(
    "audit_head",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("size", Int64, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("updated_us", Int64, nullable=False),
    Index("audit_head_by_update", "updated_us"),
    sqlite_strict=True,
)

AUDIT_TILE: Final = Table(
    "audit_tile",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("level", Int64, nullable=False),
    Column("tile", Int64, nullable=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "level", "tile"),
    sqlite_strict=True,
)

AUDIT_HOLD: Final = Table(
    "audit_hold",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("placed_us", Int64, nullable=False),
    sqlite_strict=True,
)

AUDIT_LEDGER: Final = Component("audit", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
