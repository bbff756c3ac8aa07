"""Tenants, and every change of one. `migrations/` creates the tables; a test holds the two together."""

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
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")

TENANT: Final = Table(
    "tenant",
    METADATA,
    Column("tenant", Text, primary_key=True),
    # Counts the changes, and so is what a writer may expect.
    Column("version", Int64, nullable=False),
    Column("state", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("display_name", Text),
    # Sealed under the tenant's key.
    Column("admin_email", LargeBinary),
    Column("created_us", Int64, nullable=False),
    Column("changed_us", Int64, nullable=False),
    Column("activated_us", Int64),
    # While it is in its grace period: when that is over.
    Column("delete_us", Int64),
    Column("deleted_us", Int64),
    Column("deletion_id", Text),
    # The end stands in the topic of ends.
    Column("announced_us", Int64),
    Index("tenant_by_state", "state", "delete_us"),
    sqlite_strict=True,
)

TENANT_CHANGE: Final = Table(
    "tenant_change",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("type", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    # The one it led to.
    Column("state", Text, nullable=False),
    Column("actor_id", Text),
    Column("at_us", Int64, nullable=False),
    Column("note", Text),
    PrimaryKeyConstraint("tenant", "version"),
    sqlite_strict=True,
)

TENANTS: Final = Component("tenants", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
