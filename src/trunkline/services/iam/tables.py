"""Who may do what, and who has answered an erasure. `migrations/` creates the tables."""

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
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")

ACCOUNT: Final = Table(
    "iam_account",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    # Failed logins in a row.
    Column("attempts", Int64, nullable=False),
    Column("locked_until_us", Int64),
    Column("logins", Int64, nullable=False),
    Column("last_login_us", Int64),
    PrimaryKeyConstraint("tenant", "user_id"),
    sqlite_strict=True,
)

PERMISSION: Final = Table(
    "iam_permission",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("grantee_id", Text, nullable=False),
    Column("permission", Text, nullable=False),
    Column("resource", Text, nullable=False),
    # Counts how often it was granted and revoked: the events' ids follow from it.
    Column("version", Int64, nullable=False),
    Column("granted", Integer, nullable=False),
    Column("expires_us", Int64),
    PrimaryKeyConstraint("tenant", "grantee_id", "permission", "resource"),
    sqlite_strict=True,
)

ROLE: Final = Table(
    "iam_role",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    # Empty for the whole tenant.
    Column("scope", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "user_id", "role", "scope"),
    sqlite_strict=True,
)

API_KEY: Final = Table(
    "iam_api_key",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("key_id", Text, primary_key=True),
    # SHA-256 of a secret of 256 random bits, which is therefore as good as a slow hash of a password.
    Column("secret_hash", LargeBinary, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("name", Text),
    Column("created_us", Int64, nullable=False),
    Column("expires_us", Int64),
    Column("revoked_us", Int64),
    Index("iam_api_key_by_tenant", "tenant", "key_id"),
    sqlite_strict=True,
)

ERASURE_REQUEST: Final = Table(
    "iam_erasure_request",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("requested_us", Int64, nullable=False),
    Column("due_us", Int64),
    Column("completed_us", Int64),
    Column("services", Int64),
    Column("records_erased", Int64),
    PrimaryKeyConstraint("tenant", "request_id"),
    sqlite_strict=True,
)

RECEIPT: Final = Table(
    "iam_receipt",
    METADATA,
    # Not `tenant`: this is what is left when everything of the tenant is gone.
    Column("tenant_ended", Text, nullable=False),
    Column("deletion_id", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("erased_us", Int64, nullable=False),
    # JSON: how many rows of which table.
    Column("rows", Text, nullable=False),
    Column("keys_destroyed", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    PrimaryKeyConstraint("tenant_ended", "deletion_id", "service"),
    sqlite_strict=True,
)

ERASABLE: Final = (ACCOUNT, PERMISSION, ROLE, API_KEY, ERASURE_REQUEST)
"""The tables that hold data of a tenant."""

IAM: Final = Component("iam", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
