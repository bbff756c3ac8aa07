"""Accounts, permissions, roles, API keys, erasure requests, and the receipts of ended tenants."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "iam_account",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("attempts", INT64, nullable=False),
        sa.Column("locked_until_us", INT64),
        sa.Column("logins", INT64, nullable=False),
        sa.Column("last_login_us", INT64),
        sa.PrimaryKeyConstraint("tenant", "user_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "iam_permission",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("grantee_id", sa.Text, nullable=False),
        sa.Column("permission", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("version", INT64, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("expires_us", INT64),
        sa.PrimaryKeyConstraint("tenant", "grantee_id", "permission", "resource"),
        sqlite_strict=True,
    )
    op.create_table(
        "iam_role",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "role", "scope"),
        sqlite_strict=True,
    )
    op.create_table(
        "iam_api_key",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, primary_key=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("last_four", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("created_us", INT64, nullable=False),
        sa.Column("expires_us", INT64),
        sa.Column("revoked_us", INT64),
        sqlite_strict=True,
    )
    op.create_index("iam_api_key_by_tenant", "iam_api_key", ["tenant", "key_id"])
    op.create_table(
        "iam_erasure_request",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("requested_us", INT64, nullable=False),
        sa.Column("due_us", INT64),
        sa.Column("completed_us", INT64),
        sa.Column("services", INT64),
        sa.Column("records_erased", INT64),
        sa.PrimaryKeyConstraint("tenant", "request_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "iam_receipt",
        sa.Column("tenant_ended", sa.Text, nullable=False),
        sa.Column("deletion_id", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("erased_us", INT64, nullable=False),
        sa.Column("rows", sa.Text, nullable=False),
        sa.Column("keys_destroyed", INT64, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_ended", "deletion_id", "service"),
        sqlite_strict=True,
    )
