"""Tenants that have ended, and what became of their data here."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "ended_tenant",
        Column("tenant", Text, primary_key=True),
        Column("deletion_id", Text, nullable=False),
        Column("deleted_us", BigInteger, nullable=False),
        Column("ended_us", BigInteger, nullable=False),
        Column("waits_for", Text),
        Column("erased_us", BigInteger),
        Column("erased_rows", Text),
        Column("keys_destroyed", Integer),
        Column("answered_us", BigInteger),
        Column("dropped", BigInteger, nullable=False, server_default="0"),
    )
