"""The audit ledger: entries, heads, tree tiles, text index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("row_id", INT64, primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("seq", INT64, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("ingested_us", INT64, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", INT64, nullable=False),
        sa.Column("offset", INT64, nullable=False),
        sa.Column("timestamp_ms", INT64, nullable=False),
        sa.Column("correlation_id", sa.Text),
        sa.Column("causation_id", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("key", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sa.Column("actor_type", sa.Text),
        sa.Column("actor_id", sa.Text),
        sa.Column("action", sa.Text),
        sa.Column("resource_type", sa.Text),
        sa.Column("resource_id", sa.Text),
        sa.Column("outcome", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("tenant", "seq", name="audit_event_place"),
        sa.UniqueConstraint("tenant", "source", "id", name="audit_event_identity"),
        sqlite_strict=True,
    )
    op.create_index("audit_event_by_id", "audit_event", ["id"])
    op.create_index("audit_event_by_time", "audit_event", ["time_us", "tenant", "seq"])
    op.create_index("audit_event_by_tenant_time", "audit_event", ["tenant", "time_us", "seq"])
    for column in ("actor", "action", "resource", "correlation"):
        name = column if column == "action" else f"{column}_id"
        op.create_index(f"audit_event_by_{column}", "audit_event", [name, "time_us"])
    op.create_table(
        "audit_head",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("size", INT64, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("updated_us", INT64, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("audit_head_by_update", "audit_head", ["updated_us"])
    op.create_table(
        "audit_tile",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("level", INT64, nullable=False),
        sa.Column("tile", INT64, nullable=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "level", "tile"),
        sqlite_strict=True,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE audit_text USING fts5(text, content='', tokenize='unicode61')")
