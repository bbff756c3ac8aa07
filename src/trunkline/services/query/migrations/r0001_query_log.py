"""The query log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "query_log",
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("teams", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("sql", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("submitted_us", INT64, nullable=False),
        sa.Column("overdue_us", INT64, nullable=False),
        sa.Column("ended_us", INT64),
        sa.Column("policy_revision", INT64),
        sa.Column("tables", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Text),
        sa.Column("asset", sa.Text),
        sa.Column("error_code", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("duration_us", INT64),
        sa.Column("cpu_us", INT64),
        sa.Column("rows_returned", INT64),
        sa.Column("rows_scanned", INT64),
        sa.Column("bytes_scanned", INT64),
        sqlite_strict=True,
    )
    op.create_index("query_log_of_tenant", "query_log", ["tenant", "query_id"])
    op.create_index("query_log_overdue", "query_log", ["state", "overdue_us"])
