"""Data keys of tenants, wrapped by the master key."""

from alembic import op
from sqlalchemy import Column, LargeBinary, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tenant_key",
        Column("tenant", Text, primary_key=True),
        Column("wrapped", LargeBinary, nullable=False),
    )
