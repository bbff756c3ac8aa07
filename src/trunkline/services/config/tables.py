"""The config service's tables. `migrations/` creates them; a test holds the two together.

A name is `kind`, `level`, `scope` and `key`; the scope of what holds for everybody is the empty text. What is
unset has no `value`. On SQLite the tables are STRICT.
"""

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
"""SQLite's INTEGER has 64 bits, and STRICT tables know no other name for it."""

CONFIG_ENTRY: Final = Table(
    "config_entry",
    METADATA,
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Int64, nullable=False),
    # JSON with sorted keys.
    Column("value", Text),
    # As `client.broadcast.entries.Entry.digest`, in hexadecimal digits.
    Column("digest", Text, nullable=False),
    Column("updated_us", Int64, nullable=False),
    # NULL where only a snapshot told of it.
    Column("updated_by", Text),
    PrimaryKeyConstraint("kind", "level", "scope", "key"),
    Index("config_entry_by_key", "key", "kind", "level", "scope"),
    Index("config_entry_by_scope", "level", "scope", "key"),
    sqlite_strict=True,
)

CONFIG_CHANGE: Final = Table(
    "config_change",
    METADATA,
    Column("id", Int64, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    Column("value", Text),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("time_us", Int64, nullable=False),
    # What made it: 'set', 'unset', 'rollback', 'planned', 'erased'; 'topic' where others published it.
    Column("origin", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    # Its place among the changes that have been read from the topic; NULL until then.
    Column("seq", Int64),
    UniqueConstraint(
        "kind", "level", "scope", "key", "version", "digest", "event_id", name="config_change_once"
    ),
    UniqueConstraint("seq", name="config_change_seq"),
    Index("config_change_by_time", "time_us"),
    Index("config_change_by_event", "event_id"),
    sqlite_strict=True,
)

CONFIG_PLAN: Final = Table(
    "config_plan",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("origin", Text, nullable=False),
    # The version it was made for; NULL: whatever is there when it is due.
    Column("expected", Int64),
    Column("created_us", Int64, nullable=False),
    Column("due_us", Int64, nullable=False),
    # 'proposed' waits for a second person, 'scheduled' for its time; 'applied', 'cancelled', 'refused'.
    Column("status", Text, nullable=False),
    Column("approved_by", Text),
    Column("settled_us", Int64),
    Column("version", Int64),
    # Why it was refused, or who cancelled it.
    Column("note", Text),
    Index("config_plan_due", "status", "due_us"),
    Index("config_plan_by_scope", "level", "scope", "id"),
    sqlite_strict=True,
)

CONFIG_SNAPSHOT: Final = Table(
    "config_snapshot",
    METADATA,
    Column("snapshot_id", Text, primary_key=True),
    Column("version", Int64, nullable=False),
    Column("entries", Int64, nullable=False),
    Column("parts", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Index("config_snapshot_by_time", "at_us"),
    sqlite_strict=True,
)

CONFIG_PART: Final = Table(
    "config_part",
    METADATA,
    # Parts of snapshots of which not all have come yet.
    Column("tenant", Text, nullable=False),
    Column("snapshot_id", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("part", Int64, nullable=False),
    # JSON: the entries it lists.
    Column("listed", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "snapshot_id", "version", "part"),
    sqlite_strict=True,
)

CONFIG_CURSOR: Final = Table(
    "config_cursor",
    METADATA,
    # How far something is in `config_change.seq`: `topic` what was read, others what they have repeated. Who
    # holds it and until when, where only one instance may go on.
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires_us", Int64, nullable=False),
    Column("seq", Int64, nullable=False),
    sqlite_strict=True,
)

CONFIG: Final = Component("config", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
