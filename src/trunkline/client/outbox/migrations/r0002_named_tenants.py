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

RULE = "aggregateid must be a text of letters, digits, ., _ and -"
NAMED_ON_POSTGRESQL = "aggregateid ~ '^[A-Za-z0-9._-]+$'"
UNNAMED_ON_SQLITE = (
    "(typeof({0}aggregateid) <> 'text' OR {0}aggregateid = '' OR {0}aggregateid GLOB '*[^A-Za-z0-9._-]*')"
)


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    unnamed = UNNAMED_ON_SQLITE.format("") if on_sqlite else f"NOT ({NAMED_ON_POSTGRESQL})"
    event = sa.table("outbox_event", *map(sa.column, ("attempts", "error", "stuck_since_ms")))
    op.execute(
        sa.update(event)
        .where(sa.text(unnamed), event.c.stuck_since_ms.is_(None))
        .values(
            attempts=event.c.attempts + 1,
            error=f"the row names no tenant: {RULE}",
            stuck_since_ms=time.time_ns() // 1_000_000,
        )
    )
    if on_sqlite:
        _refuse("insert", "INSERT")
        _refuse("update", "UPDATE OF aggregateid")
    else:
        op.create_check_constraint(
            "outbox_event_names_tenant",
            "outbox_event",
            f"{NAMED_ON_POSTGRESQL} OR stuck_since_ms IS NOT NULL",
        )


def _refuse(name: str, moment: str) -> None:
    op.execute(
        f"CREATE TRIGGER outbox_event_names_tenant_{name} BEFORE {moment} ON outbox_event "
        f"WHEN {UNNAMED_ON_SQLITE.format('NEW.')} "
        f"BEGIN SELECT RAISE(ABORT, 'outbox_event_names_tenant: {RULE}'); END"
    )
