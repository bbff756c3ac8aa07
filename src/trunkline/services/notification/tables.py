"""The tables of the notification service. `migrations/` creates them; a test holds the two together.

Times are microseconds since 1970, those of events as well as those of this service's clock. Flags are 0 and
1, because SQLite's STRICT tables have no others.
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
    text,
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits, and STRICT tables know no other name for it."""

EVENT: Final = Table(
    "notification_event",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("received_us", Int64, nullable=False),
    Column("expires_us", Int64),
    Column("correlation_id", Text),
    Column("summary", Text, nullable=False),
    # JSON without the fields that hold personal data.
    Column("data", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "source", "id"),
    Index("notification_event_by_id", "id"),
    Index("notification_event_by_time", "tenant", "time_us"),
    Index("notification_event_by_arrival", "received_us"),
    sqlite_strict=True,
)

DECISION: Final = Table(
    "notification_decision",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Int64, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text),
    Column("incident", Text),
    Column("notification", Text),
    PrimaryKeyConstraint("tenant", "source", "event_id", "rule"),
    sqlite_strict=True,
)

INCIDENT: Final = Table(
    "notification_incident",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("count", Int64, nullable=False),
    Column("first_us", Int64),
    Column("fired_us", Int64),
    # Of two events of one moment the greater id counts, in whatever order they come.
    Column("fired_source", Text),
    Column("fired_id", Text),
    Column("resolved_us", Int64),
    # The fields of the event that fired last, which inhibition compares.
    Column("data", Text, nullable=False),
    Column("told_us", Int64),
    Column("told_by", Text),
    Column("repeat_us", Int64),
    Column("repeats", Int64, nullable=False),
    Column("changed_us", Int64, nullable=False),
    Index("notification_incident_by_state", "tenant", "state", "rule"),
    Index("notification_incident_by_change", "tenant", "changed_us", "id"),
    Index(
        "notification_incident_by_repeat",
        "repeat_us",
        sqlite_where=text("repeat_us IS NOT NULL"),
        postgresql_where=text("repeat_us IS NOT NULL"),
    ),
    sqlite_strict=True,
)

NOTIFICATION: Final = Table(
    "notification",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("rule_version", Int64, nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("window_us", Int64, nullable=False),
    # What followed when the notification of a window had been sent already: its number in that row.
    Column("parent", Text),
    Column("number", Int64, nullable=False),
    # Whether anything of it is to be told; whether it has begun to be sent, so that nothing may join it.
    Column("active", Int64, nullable=False),
    Column("closed", Int64, nullable=False),
    Column("created_us", Int64, nullable=False),
    Column("subject", Text),
    Column("text", Text),
    Column("html", Text),
    Index("notification_by_creation", "tenant", "created_us", "id"),
    Index("notification_by_parent", "parent"),
    sqlite_strict=True,
)

ITEM: Final = Table(
    "notification_item",
    METADATA,
    Column("notification", Text, nullable=False),
    # The identity of an event, or of the notification that a digest repeats.
    Column("ref", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("incident", Text),
    Column("source", Text),
    Column("event_id", Text),
    Column("time_us", Int64, nullable=False),
    # Why it is not told; NULL if it is.
    Column("reason", Text),
    PrimaryKeyConstraint("notification", "ref"),
    Index("notification_item_by_incident", "incident"),
    Index("notification_item_by_event", "tenant", "event_id"),
    sqlite_strict=True,
)

DELIVERY: Final = Table(
    "notification_delivery",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("notification", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    # `attempts` counts all, `failures` those that are known to have failed since it was last begun.
    Column("attempts", Int64, nullable=False),
    Column("failures", Int64, nullable=False),
    # When a pending one may be sent, and when a leased one may be taken from its holder.
    Column("due_us", Int64),
    Column("holder", Text),
    Column("created_us", Int64, nullable=False),
    Column("changed_us", Int64, nullable=False),
    Index("notification_delivery_by_notification", "notification"),
    Index("notification_delivery_by_change", "tenant", "changed_us", "id"),
    Index(
        "notification_delivery_by_due",
        "due_us",
        sqlite_where=text("due_us IS NOT NULL"),
        postgresql_where=text("due_us IS NOT NULL"),
    ),
    sqlite_strict=True,
)

ATTEMPT: Final = Table(
    "notification_attempt",
    METADATA,
    Column("delivery", Text, nullable=False),
    Column("number", Int64, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("at_us", Int64, nullable=False),
    Column("took_us", Int64, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Int64),
    Column("detail", Text),
    PrimaryKeyConstraint("delivery", "number"),
    Index("notification_attempt_by_tenant", "tenant"),
    sqlite_strict=True,
)

INBOX: Final = Table(
    "notification_inbox",
    METADATA,
    Column("seq", Int64, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("notification", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_us", Int64, nullable=False),
    Column("read_us", Int64),
    UniqueConstraint("delivery", name="notification_inbox_once"),
    Index("notification_inbox_by_recipient", "tenant", "recipient", "seq"),
    sqlite_strict=True,
)

ENDPOINT: Final = Table(
    "notification_endpoint",
    METADATA,
    # `system` for a channel that is set for everybody.
    Column("tenant", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("failing_us", Int64),
    Column("disabled_us", Int64),
    Column("reason", Text),
    PrimaryKeyConstraint("tenant", "channel"),
    sqlite_strict=True,
)

SILENCE: Final = Table(
    "notification_silence",
    METADATA,
    Column("id", Text, primary_key=True),
    # `system` for one that silences every tenant.
    Column("tenant", Text, nullable=False),
    Column("matches", Text, nullable=False),
    Column("starts_us", Int64, nullable=False),
    Column("ends_us", Int64, nullable=False),
    Column("actor", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Index("notification_silence_by_tenant", "tenant", "ends_us"),
    sqlite_strict=True,
)

PREFERENCE: Final = Table(
    "notification_preference",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    # '' is any.
    Column("category", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("changed_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "recipient", "category", "channel"),
    sqlite_strict=True,
)

RECIPIENT: Final = Table(
    "notification_recipient",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    # An e-mail address under the tenant's key.
    Column("address", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "recipient"),
    sqlite_strict=True,
)

SECRET: Final = Table(
    "notification_secret",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("changed_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "name"),
    sqlite_strict=True,
)

TENANT: Final = Table(
    "notification_tenant",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("suspended", Int64, nullable=False),
    Column("time_us", Int64, nullable=False),
    Column("event_id", Text, nullable=False),
    sqlite_strict=True,
)

NOTIFICATIONS: Final = Component("notification", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
