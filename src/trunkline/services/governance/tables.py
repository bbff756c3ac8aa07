"""The tables of governance. `migrations/` creates them; a test holds the two together.

Times are microseconds since 1970. `governance_bundle_head` has one row a tenant; its lock is what makes
revisions grow one by one.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite's INTEGER has 64 bits, and STRICT tables know no other name for it."""

POLICY: Final = Table(
    "governance_policy",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("kind", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("title", Text),
    Column("actor_id", Text, nullable=False),
    Column("created_us", Int64, nullable=False),
    Column("revoked_us", Int64),
    PrimaryKeyConstraint("tenant", "policy_id", "version"),
    sqlite_strict=True,
)

MEMBER: Final = Table(
    "governance_bundle_member",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("version", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "policy_id"),
    sqlite_strict=True,
)

BUNDLE: Final = Table(
    "governance_bundle",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("revision", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    Column("members", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("created_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "revision"),
    sqlite_strict=True,
)

HEAD: Final = Table(
    "governance_bundle_head",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("revision", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    Column("snapshot_us", Int64, nullable=False),
    Index("governance_bundle_head_by_snapshot", "snapshot_us"),
    sqlite_strict=True,
)

CHECK: Final = Table(
    "governance_quality_state",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("check_id", Text, nullable=False),
    Column("dimension", Text, nullable=False),
    Column("failing", Text),
    Column("rule", Text),
    Column("results", Text, nullable=False),
    PrimaryKeyConstraint("tenant", "asset", "check_id"),
    sqlite_strict=True,
)

QUARANTINE: Final = Table(
    "governance_quarantine",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "asset"),
    sqlite_strict=True,
)

DECISION: Final = Table(
    "governance_decision",
    METADATA,
    Column("id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("mode", Text),
    Column("reason", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("check_id", Text),
    Column("cause_source", Text),
    Column("cause_id", Text),
    Column("revision", Int64),
    Column("ends", Text),
    Column("until_us", Int64),
    Column("time_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "id"),
    Index("governance_decision_by_asset", "tenant", "asset", "time_us", "id"),
    Index("governance_decision_by_time", "tenant", "time_us", "id"),
    sqlite_strict=True,
)

OVERRIDE: Final = Table(
    "governance_override",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("wanted", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since_us", Int64, nullable=False),
    Column("until_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "asset"),
    Index("governance_override_by_end", "until_us"),
    sqlite_strict=True,
)

TAG: Final = Table(
    "governance_asset_tag",
    METADATA,
    Column("tenant", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("dimension", Text),
    Column("detail", Text, nullable=False),
    Column("time_us", Int64, nullable=False),
    PrimaryKeyConstraint("tenant", "asset", "tag", "ref"),
    sqlite_strict=True,
)

ENFORCER: Final = Table(
    "governance_enforcer",
    METADATA,
    Column("instance", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("revision", Int64, nullable=False),
    Column("digest", Text, nullable=False),
    Column("problem", Text),
    Column("seen_us", Int64, nullable=False),
    PrimaryKeyConstraint("instance", "tenant"),
    Index("governance_enforcer_by_tenant", "tenant"),
    sqlite_strict=True,
)

PULSE: Final = Table(
    "governance_pulse",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("sequence", Int64, nullable=False),
    Column("sent_us", Int64, nullable=False),
    sqlite_strict=True,
)
"""Whose turn it is among instances: who moves the row on does the work."""

BY_TENANT: Final = (HEAD, POLICY, MEMBER, BUNDLE, CHECK, QUARANTINE, DECISION, OVERRIDE, TAG, ENFORCER)
"""What an erasure empties."""

GOVERNANCE: Final = Component("governance", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
