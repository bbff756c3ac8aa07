"""Tenants and what has become of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "tenant",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("version", INT64, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("tier", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("admin_email", sa.LargeBinary),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("changed_us", INT64, nullable=False),
        sa.Column("activated_us", INT64),
        sa.Column("delete_us", INT64),
        sa.Column("deleted_us", INT64),
        sa.Column("deletion_id", sa.Text),
        sa.Column("announced_us", INT64),
        sqlite_strict=True,
    )
    op.create_index("tenant_by_state", "tenant", ["state", "delete_us"])
    op.create_table(
        "tenant_change",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text),
        sa.Column("at_us", INT64, nullable=False),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "version"),
        sqlite_strict=True,
    )
