"""Events to publish, and who publishes which lane."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LANES = 64


def upgrade() -> None:
    op.create_table(
        "outbox_event",
        sa.Column("position", INT64, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("aggregatetype", sa.Text, nullable=False),
        sa.Column("aggregateid", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("added_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("stuck_since_ms", sa.BigInteger),
        sa.Column("discarded_ms", sa.BigInteger),
        sa.Column("note", sa.Text),
        sqlite_autoincrement=True,
    )
    _partial_index("outbox_event_pending", ["aggregateid", "position"], "discarded_ms IS NULL")
    _partial_index("outbox_event_stuck", ["stuck_since_ms"], "stuck_since_ms IS NOT NULL")
    claims = op.create_table(
        "outbox_claim",
        sa.Column("lane", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(claims, [{"lane": lane, "owner": "", "expires_ms": 0} for lane in range(LANES)])
    op.create_table(
        "outbox_relay",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
    )


def _partial_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "outbox_event", columns, sqlite_where=where, postgresql_where=where)
