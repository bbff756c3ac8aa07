"""The registry: models, versions, aliases, tags, deployments, requests with a key."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def number(name: str) -> sa.Column[int]:
    return sa.Column(name, INT64, nullable=False)


def upgrade() -> None:
    op.create_table(
        "ml_model",
        *texts("tenant", "model"),
        sa.Column("description", sa.Text),
        sa.Column("owner_id", sa.Text),
        number("last_version"),
        number("last_us"),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "model"),
    )
    op.create_table(
        "ml_version",
        *texts("tenant", "model"),
        number("version"),
        *texts("source_uri"),
        sa.Column("run_id", sa.Text),
        *texts("metrics", "trained_on", "stage", "actor_id"),
        number("created_us"),
        sa.Column("wanted_stage", sa.Text),
        sa.Column("wanted_by", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "model", "version"),
    )
    op.create_table(
        "ml_alias",
        *texts("tenant", "model", "alias"),
        number("version"),
        sa.PrimaryKeyConstraint("tenant", "model", "alias"),
    )
    op.create_table(
        "ml_tag",
        *texts("tenant", "model"),
        number("version"),
        *texts("key", "value"),
        sa.PrimaryKeyConstraint("tenant", "model", "version", "key"),
    )
    op.create_table(
        "ml_deployment",
        *texts("tenant", "model"),
        number("version"),
        *texts("endpoint"),
        number("replicas"),
        sa.PrimaryKeyConstraint("tenant", "model", "version", "endpoint"),
    )
    op.create_table(
        "ml_request",
        *texts("tenant", "key", "request_hash", "model"),
        number("version"),
        sa.PrimaryKeyConstraint("tenant", "key"),
    )
