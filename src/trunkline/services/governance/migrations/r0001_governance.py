"""Governance: policies, bundles, quality states, decisions, overrides, tags, enforcers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, INT64, nullable=False) for name in names]


def table(name: str, *columns: sa.Column[Any], key: tuple[str, ...]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key), sqlite_strict=True)


def upgrade() -> None:
    bundles()
    quality()
    table(
        "governance_enforcer",
        *texts("instance", "tenant", "service"),
        *numbers("revision"),
        *texts("digest"),
        sa.Column("problem", sa.Text),
        *numbers("seen_us"),
        key=("instance", "tenant"),
    )
    op.create_index("governance_enforcer_by_tenant", "governance_enforcer", ["tenant"])
    table("governance_pulse", *texts("name"), *numbers("sequence", "sent_us"), key=("name",))


def bundles() -> None:
    table(
        "governance_policy",
        *texts("tenant", "policy_id"),
        *numbers("version"),
        *texts("kind", "mode", "scope", "body"),
        sa.Column("title", sa.Text),
        *texts("actor_id"),
        *numbers("created_us"),
        sa.Column("revoked_us", INT64),
        key=("tenant", "policy_id", "version"),
    )
    table(
        "governance_bundle_member",
        *texts("tenant", "policy_id"),
        *numbers("version"),
        key=("tenant", "policy_id"),
    )
    table(
        "governance_bundle",
        *texts("tenant"),
        *numbers("revision"),
        *texts("digest", "members", "cause", "actor_id"),
        *numbers("created_us"),
        key=("tenant", "revision"),
    )
    table(
        "governance_bundle_head",
        *texts("tenant"),
        *numbers("revision"),
        *texts("digest"),
        *numbers("snapshot_us"),
        key=("tenant",),
    )
    op.create_index("governance_bundle_head_by_snapshot", "governance_bundle_head", ["snapshot_us"])


def quality() -> None:
    table(
        "governance_quality_state",
        *texts("tenant", "asset", "check_id", "dimension"),
        sa.Column("failing", sa.Text),
        sa.Column("rule", sa.Text),
        *texts("results"),
        key=("tenant", "asset", "check_id"),
    )
    table(
        "governance_quarantine",
        *texts("tenant", "asset", "decision_id", "mode", "reason"),
        *numbers("since_us"),
        key=("tenant", "asset"),
    )
    table(
        "governance_decision",
        *texts("id", "tenant", "asset", "action", "rule"),
        sa.Column("mode", sa.Text),
        *texts("reason", "actor_id"),
        sa.Column("check_id", sa.Text),
        sa.Column("cause_source", sa.Text),
        sa.Column("cause_id", sa.Text),
        sa.Column("revision", INT64),
        sa.Column("ends", sa.Text),
        sa.Column("until_us", INT64),
        *numbers("time_us"),
        key=("tenant", "id"),
    )
    op.create_index(
        "governance_decision_by_asset", "governance_decision", ["tenant", "asset", "time_us", "id"]
    )
    op.create_index("governance_decision_by_time", "governance_decision", ["tenant", "time_us", "id"])
    table(
        "governance_override",
        *texts("tenant", "asset", "wanted", "decision_id", "actor_id", "reason"),
        *numbers("since_us", "until_us"),
        key=("tenant", "asset"),
    )
    op.create_index("governance_override_by_end", "governance_override", ["until_us"])
    table(
        "governance_asset_tag",
        *texts("tenant", "asset", "tag", "ref"),
        sa.Column("dimension", sa.Text),
        *texts("detail"),
        *numbers("time_us"),
        key=("tenant", "asset", "tag", "ref"),
    )
