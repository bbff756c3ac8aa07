"""The tables of metering. `migrations/` creates them; a test holds the two together.

Times are microseconds since 1970 in UTC, periods calendar months in UTC such as `2026-11`, and a group is the
text of a JSON object, empty for the whole of a meter.
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
from trunkline.services.billing.exact import Exact

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")

METER: Final = Table(
    "meter",
    METADATA,
    Column("code", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("effective_us", Int64, nullable=False),
    Column("definition", Text, nullable=False),
    # Whether what had been counted before was counted again under this version; 0 or 1.
    Column("recounted", Int64, nullable=False),
    PrimaryKeyConstraint("code", "version"),
    sqlite_strict=True,
)
"""What the settings have added to the built-in meters; a version is never changed."""

USAGE_EVENT: Final = Table(
    "usage_event",
    METADATA,
    # The order of arrival, which is the order of the topic for the events of one tenant and type.
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("arrived_us", Int64, nullable=False),
    Column("data", Text, nullable=False),
    UniqueConstraint("id", "tenant", "source", name="usage_event_identity"),
    Index("usage_event_by_period", "tenant", "period", "type", "seq"),
    sqlite_strict=True,
)
"""What was counted, so that every number can be explained and counted again."""

USAGE_AGG: Final = Table(
    "usage_agg",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("value", Exact, nullable=False),
    Column("events", Int64, nullable=False),
    # When the newest of them happened.
    Column("newest_us", Int64, nullable=False),
    # Which event gave the value, for a meter that takes the latest: its time and identity, as ordered text.
    Column("latest", Text),
    # The limit that the value was last compared with; null while there is none.
    Column("quota", Exact),
    PrimaryKeyConstraint("tenant", "period", "meter", "grouping"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

USAGE_UNIQUE: Final = Table(
    "usage_unique",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("member", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "period", "meter", "grouping", "member"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

PERIOD: Final = Table(
    "usage_period",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    # When the first usage of the period arrived: its grace begins no earlier.
    Column("opened_us", Int64, nullable=False),
    Column("closed_us", Int64),
    Column("digest", Text),
    PrimaryKeyConstraint("tenant", "period"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

CORRECTION: Final = Table(
    "correction",
    METADATA,
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("booked_in", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("grouping", Text, nullable=False),
    Column("delta", Exact, nullable=False),
    Column("cause_source", Text, nullable=False),
    Column("cause_id", Text, nullable=False),
    UniqueConstraint(
        "tenant", "period", "meter", "grouping", "cause_source", "cause_id", name="correction_identity"
    ),
    Index("correction_by_booking", "tenant", "booked_in"),
    sqlite_strict=True,
)
"""Usage of a closed period that arrived later; it is part of the period's aggregate and billed elsewhere."""

TENANT_CHANGE: Final = Table(
    "tenant_change",
    METADATA,
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("kind", Text, nullable=False),
    Column("tier", Text),
    UniqueConstraint("tenant", "source", "id", name="tenant_change_identity"),
    Index("tenant_change_by_time", "tenant", "at_us", "seq"),
    sqlite_strict=True,
)

THRESHOLD_STATE: Final = Table(
    "threshold_state",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("period", Text, nullable=False),
    Column("meter", Text, nullable=False),
    # Percent of the limit; 0 for the limit itself being exceeded.
    Column("level", Int64, nullable=False),
    Column("quota", Exact, nullable=False),
    Column("used", Exact, nullable=False),
    Column("reached_us", Int64, nullable=False),
    Column("event_id", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "period", "meter", "level"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

QUARANTINE: Final = Table(
    "quarantine",
    METADATA,
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("arrived_us", Int64, nullable=False),
    Column("data", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text),
    UniqueConstraint("tenant", "source", "id", name="quarantine_identity"),
    Index("quarantine_by_state", "state", "tenant", "seq"),
    sqlite_strict=True,
)
"""Usage whose time is not believed; it counts when somebody accepts it."""

SUBJECT_KEY: Final = Table(
    "subject_key",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""The keys of the hashes that stand for people, sealed under their tenants' data keys."""

ERASED_TENANT: Final = Table(
    "erased_tenant",
    METADATA,
    Column("tenant", Text, primary_key=True),
    sqlite_strict=True,
)

BILLING: Final = Component("billing", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
