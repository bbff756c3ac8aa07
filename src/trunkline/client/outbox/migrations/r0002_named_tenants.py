"""Every event names its tenant; what does not is refused to whoever writes it.

No relay ever takes a row from before that names none: it is stuck from now on, where an operator sees it.
SQLite takes no new constraint on a table that is there without copying it, which would number its rows anew;
triggers refuse the same.
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

REASON = "the row names no tenant: aggregateid must be a text that is not empty"


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    unnamed = "aggregateid = ''"
    if on_sqlite:
        unnamed += " OR typeof(aggregateid) <> 'text'"
    event = sa.table("outbox_event", *map(sa.column, ("attempts", "error", "stuck_since_ms")))
    op.execute(
        sa.update(event)
        .where(sa.text(f"({unnamed})"), event.c.stuck_since_ms.is_(None))
        .values(attempts=event.c.attempts + 1, error=REASON, stuck_since_ms=time.time_ns() // 1_000_000)
    )
    if on_sqlite:
        _refuse("insert", "INSERT")
        _refuse("update", "UPDATE OF aggregateid")
    else:
        op.create_check_constraint(
            "outbox_event_names_tenant", "outbox_event", "aggregateid <> '' OR stuck_since_ms IS NOT NULL"
        )


def _refuse(name: str, moment: str) -> None:
    op.execute(
        f"CREATE TRIGGER outbox_event_names_tenant_{name} BEFORE {moment} ON outbox_event "
        "WHEN typeof(NEW.aggregateid) <> 'text' OR NEW.aggregateid = '' "
        "BEGIN SELECT RAISE(ABORT, 'outbox_event_names_tenant: aggregateid must be a text, not empty'); END"
    )
