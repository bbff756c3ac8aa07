"""Tenants that are parked, and the tenant of each failure."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TENANT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PAGE = 500


def upgrade() -> None:
    op.create_table(
        "parked_tenant",
        sa.Column("consumer_group", sa.Text, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("tenantid", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("consumer_group", "topic", "tenantid"),
        sqlite_with_rowid=False,
    )
    op.add_column("failure", sa.Column("tenantid", sa.Text))
    op.create_index("failure_by_tenant", "failure", ["consumer_group", "topic", "tenantid", "status", "id"])
    _fill_in_tenants()


def _fill_in_tenants() -> None:
    """In Python: the keys are anybody's bytes, and databases disagree about those that are no text."""
    connection = op.get_bind()
    failure = sa.table("failure", sa.column("id"), sa.column("key", sa.LargeBinary), sa.column("tenantid"))
    last = 0
    while True:
        page = sa.select(failure.c.id, failure.c.key).where(failure.c.id > last).order_by(failure.c.id)
        rows = connection.execute(page.limit(_PAGE)).all()
        for row_id, key in rows:
            if key is not None and _TENANT.fullmatch(bytes(key)):
                row = sa.update(failure).where(failure.c.id == row_id)
                connection.execute(row.values(tenantid=bytes(key).decode()))
        if len(rows) < _PAGE:
            return
        last = rows[-1][0]
