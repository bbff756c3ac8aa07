"""Events and what was decided on them, incidents, notifications, deliveries, and what users chose."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _history()
    _telling()
    _people()


def _history() -> None:
    op.create_table(
        "notification_event",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("received_us", INT64, nullable=False),
        sa.Column("expires_us", INT64),
        sa.Column("correlation_id", sa.Text),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "id"),
        sqlite_strict=True,
    )
    op.create_index("notification_event_by_id", "notification_event", ["id"])
    op.create_index("notification_event_by_time", "notification_event", ["tenant", "time_us"])
    op.create_index("notification_event_by_arrival", "notification_event", ["received_us"])
    op.create_table(
        "notification_decision",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("rule_version", INT64, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
        sa.Column("incident", sa.Text),
        sa.Column("notification", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "source", "event_id", "rule"),
        sqlite_strict=True,
    )


def _telling() -> None:
    op.create_table(
        "notification_incident",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("count", INT64, nullable=False),
        sa.Column("first_us", INT64),
        sa.Column("fired_us", INT64),
        sa.Column("fired_source", sa.Text),
        sa.Column("fired_id", sa.Text),
        sa.Column("resolved_us", INT64),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("told_us", INT64),
        sa.Column("told_by", sa.Text),
        sa.Column("repeat_us", INT64),
        sa.Column("repeats", INT64, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("notification_incident_by_state", "notification_incident", ["tenant", "state", "rule"])
    op.create_index(
        "notification_incident_by_change", "notification_incident", ["tenant", "changed_us", "id"]
    )
    where = sa.text("repeat_us IS NOT NULL")
    op.create_index(
        "notification_incident_by_repeat",
        "notification_incident",
        ["repeat_us"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "notification",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("rule_version", INT64, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("template", sa.Text, nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("window_us", INT64, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("number", INT64, nullable=False),
        sa.Column("active", INT64, nullable=False),
        sa.Column("closed", INT64, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("html", sa.Text),
        sqlite_strict=True,
    )
    op.create_index("notification_by_creation", "notification", ["tenant", "created_us", "id"])
    op.create_index("notification_by_parent", "notification", ["parent"])
    op.create_table(
        "notification_item",
        sa.Column("notification", sa.Text, nullable=False),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("incident", sa.Text),
        sa.Column("source", sa.Text),
        sa.Column("event_id", sa.Text),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("notification", "ref"),
        sqlite_strict=True,
    )
    op.create_index("notification_item_by_incident", "notification_item", ["incident"])
    op.create_index("notification_item_by_event", "notification_item", ["tenant", "event_id"])
    op.create_table(
        "notification_delivery",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("notification", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", INT64, nullable=False),
        sa.Column("failures", INT64, nullable=False),
        sa.Column("due_us", INT64),
        sa.Column("holder", sa.Text),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("notification_delivery_by_notification", "notification_delivery", ["notification"])
    op.create_index(
        "notification_delivery_by_change", "notification_delivery", ["tenant", "changed_us", "id"]
    )
    where = sa.text("due_us IS NOT NULL")
    op.create_index(
        "notification_delivery_by_due",
        "notification_delivery",
        ["due_us"],
        sqlite_where=where,
        postgresql_where=where,
    )
    op.create_table(
        "notification_attempt",
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("number", INT64, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("took_us", INT64, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", INT64),
        sa.Column("detail", sa.Text),
        sa.PrimaryKeyConstraint("delivery", "number"),
        sqlite_strict=True,
    )
    op.create_index("notification_attempt_by_tenant", "notification_attempt", ["tenant"])


def _people() -> None:
    op.create_table(
        "notification_inbox",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("notification", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("read_us", INT64),
        sa.UniqueConstraint("delivery", name="notification_inbox_once"),
        sqlite_strict=True,
    )
    op.create_index("notification_inbox_by_recipient", "notification_inbox", ["tenant", "recipient", "seq"])
    op.create_table(
        "notification_endpoint",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("failing_us", INT64),
        sa.Column("disabled_us", INT64),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "channel"),
        sqlite_strict=True,
    )
    op.create_table(
        "notification_silence",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("matches", sa.Text, nullable=False),
        sa.Column("starts_us", INT64, nullable=False),
        sa.Column("ends_us", INT64, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("notification_silence_by_tenant", "notification_silence", ["tenant", "ends_us"])
    op.create_table(
        "notification_preference",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("category", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "recipient", "category", "channel"),
        sqlite_strict=True,
    )
    op.create_table(
        "notification_recipient",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("address", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "recipient"),
        sqlite_strict=True,
    )
    op.create_table(
        "notification_secret",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
        sqlite_strict=True,
    )
    op.create_table(
        "notification_tenant",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("suspended", INT64, nullable=False),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sqlite_strict=True,
    )
