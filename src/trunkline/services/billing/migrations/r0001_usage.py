"""Meters, facts, aggregates, periods, corrections, plans, thresholds, quarantine."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INT64 = sa.BigInteger().with_variant(sa.Integer, "sqlite")
EXACT = sa.Numeric().with_variant(sa.Text, "sqlite")
ROWS = {"sqlite_strict": True}
CLUSTERED = {"sqlite_strict": True, "sqlite_with_rowid": False}


def upgrade() -> None:
    _facts()
    _aggregates()
    _periods()
    _tenants()
    op.create_table(
        "meter",
        *_texts("code"),
        sa.Column("version", INT64, nullable=False),
        sa.Column("effective_us", INT64, nullable=False),
        *_texts("definition"),
        sa.Column("recounted", INT64, nullable=False),
        sa.PrimaryKeyConstraint("code", "version"),
        **ROWS,
    )


def _facts() -> None:
    op.create_table(
        "usage_event",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        *_texts("tenant", "period", "type", "source", "id"),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("arrived_us", INT64, nullable=False),
        *_texts("data"),
        sa.UniqueConstraint("id", "tenant", "source", name="usage_event_identity"),
        **ROWS,
    )
    op.create_index("usage_event_by_period", "usage_event", ["tenant", "period", "type", "seq"])
    op.create_table(
        "quarantine",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        *_texts("tenant", "source", "id", "type"),
        sa.Column("time_us", INT64, nullable=False),
        sa.Column("arrived_us", INT64, nullable=False),
        *_texts("data", "reason", "state"),
        sa.Column("note", sa.Text),
        sa.UniqueConstraint("tenant", "source", "id", name="quarantine_identity"),
        **ROWS,
    )
    op.create_index("quarantine_by_state", "quarantine", ["state", "tenant", "seq"])


def _aggregates() -> None:
    op.create_table(
        "usage_agg",
        *_texts("tenant", "period", "meter", "grouping"),
        sa.Column("value", EXACT, nullable=False),
        sa.Column("events", INT64, nullable=False),
        sa.Column("newest_us", INT64, nullable=False),
        sa.Column("latest", sa.Text),
        sa.Column("quota", EXACT),
        sa.PrimaryKeyConstraint("tenant", "period", "meter", "grouping"),
        **CLUSTERED,
    )
    op.create_table(
        "usage_unique",
        *_texts("tenant", "period", "meter", "grouping", "member"),
        sa.PrimaryKeyConstraint("tenant", "period", "meter", "grouping", "member"),
        **CLUSTERED,
    )
    op.create_table(
        "threshold_state",
        *_texts("tenant", "period", "meter"),
        sa.Column("level", INT64, nullable=False),
        sa.Column("quota", EXACT, nullable=False),
        sa.Column("used", EXACT, nullable=False),
        sa.Column("reached_us", INT64, nullable=False),
        *_texts("event_id"),
        sa.PrimaryKeyConstraint("tenant", "period", "meter", "level"),
        **CLUSTERED,
    )


def _periods() -> None:
    op.create_table(
        "usage_period",
        *_texts("tenant", "period"),
        sa.Column("opened_us", INT64, nullable=False),
        sa.Column("closed_us", INT64),
        sa.Column("digest", sa.Text),
        sa.PrimaryKeyConstraint("tenant", "period"),
        **CLUSTERED,
    )
    op.create_table(
        "correction",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        *_texts("tenant", "period", "booked_in", "meter", "grouping"),
        sa.Column("delta", EXACT, nullable=False),
        *_texts("cause_source", "cause_id"),
        sa.UniqueConstraint(
            "tenant", "period", "meter", "grouping", "cause_source", "cause_id", name="correction_identity"
        ),
        **ROWS,
    )
    op.create_index("correction_by_booking", "correction", ["tenant", "booked_in"])


def _tenants() -> None:
    op.create_table(
        "tenant_change",
        sa.Column("seq", INT64, primary_key=True, autoincrement=True),
        *_texts("tenant", "source", "id"),
        sa.Column("at_us", INT64, nullable=False),
        *_texts("kind"),
        sa.Column("tier", sa.Text),
        sa.UniqueConstraint("tenant", "source", "id", name="tenant_change_identity"),
        **ROWS,
    )
    op.create_index("tenant_change_by_time", "tenant_change", ["tenant", "at_us", "seq"])
    op.create_table(
        "subject_key",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        **ROWS,
    )
    op.create_table("erased_tenant", sa.Column("tenant", sa.Text, primary_key=True), **ROWS)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]
