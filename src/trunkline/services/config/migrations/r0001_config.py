"""Entries, their history, plans, snapshots, and cursors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "config_entry",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("updated_us", INT64, nullable=False),
        sa.Column("updated_by", sa.Text),
        sa.PrimaryKeyConstraint("kind", "level", "scope", "key"),
        sqlite_strict=True,
    )
    op.create_index("config_entry_by_key", "config_entry", ["key", "kind", "level", "scope"])
    op.create_index("config_entry_by_scope", "config_entry", ["level", "scope", "key"])
    op.create_table(
        "config_change",
        sa.Column("id", INT64, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("seq", INT64),
        sa.UniqueConstraint(
            "kind", "level", "scope", "key", "version", "digest", "event_id", name="config_change_once"
        ),
        sa.UniqueConstraint("seq", name="config_change_seq"),
        sqlite_strict=True,
    )
    op.create_index("config_change_by_time", "config_change", ["time_us"])
    op.create_index("config_change_by_event", "config_change", ["event_id"])
    op.create_table(
        "config_plan",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("expected", INT64),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("due_us", INT64, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("approved_by", sa.Text),
        sa.Column("settled_us", INT64),
        sa.Column("version", INT64),
        sa.Column("note", sa.Text),
        sqlite_strict=True,
    )
    op.create_index("config_plan_due", "config_plan", ["status", "due_us"])
    op.create_index("config_plan_by_scope", "config_plan", ["level", "scope", "id"])
    op.create_table(
        "config_snapshot",
        sa.Column("snapshot_id", sa.Text, primary_key=True),
        sa.Column("version", INT64, nullable=False),
        sa.Column("entries", INT64, nullable=False),
        sa.Column("parts", INT64, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("at_us", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("config_snapshot_by_time", "config_snapshot", ["at_us"])
    op.create_table(
        "config_part",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("snapshot_id", sa.Text, nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("part", INT64, nullable=False),
        sa.Column("listed", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "snapshot_id", "version", "part"),
        sqlite_strict=True,
    )
    op.create_table(
        "config_cursor",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires_us", INT64, nullable=False),
        sa.Column("seq", INT64, nullable=False),
        sqlite_strict=True,
    )
