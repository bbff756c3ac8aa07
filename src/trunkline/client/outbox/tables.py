"""The outbox's tables. `migrations/` creates them; a test holds the two together.

`id`, `aggregatetype`, `aggregateid`, `type` and `payload` have the names and the meaning that Debezium's
outbox event router expects, so that a team can let change data capture publish the rows instead of the relay:
debezium.io/documentation/reference/transformations/outbox-event-router.html.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

from trunkline.client.store import Component

METADATA: Final = MetaData()

Int64: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in a column that is called INTEGER."""

OUTBOX_EVENT: Final = Table(
    "outbox_event",
    METADATA,
    # Grows in the order in which one tenant's transactions commit (see `add`), and is never used again.
    Column("position", Int64, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    # The topic.
    Column("aggregatetype", Text, nullable=False),
    # The tenant, which is the record's key: letters, digits, `.`, `_` and `-` (`migrations/r0002`).
    Column("aggregateid", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    # As in the header ce_time.
    Column("time", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    # JSON object: every header of the record.
    Column("headers", Text, nullable=False),
    Column("added_ms", BigInteger, nullable=False),
    # Attempts that failed, why the last one did, and since when the event is refused; NULL: it is not.
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("stuck_since_ms", BigInteger),
    # An operator gave it up: kept on record, published never.
    Column("discarded_ms", BigInteger),
    Column("note", Text),
    Index(
        "outbox_event_pending",
        "aggregateid",
        "position",
        sqlite_where=text("discarded_ms IS NULL"),
        postgresql_where=text("discarded_ms IS NULL"),
    ),
    Index(
        "outbox_event_stuck",
        "stuck_since_ms",
        sqlite_where=text("stuck_since_ms IS NOT NULL"),
        postgresql_where=text("stuck_since_ms IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

OUTBOX_CLAIM: Final = Table(
    "outbox_claim",
    METADATA,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

OUTBOX_RELAY: Final = Table(
    "outbox_relay",
    METADATA,
    Column("owner", Text, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
)

OUTBOX: Final = Component("outbox", Path(__file__).parent / "migrations")
"""What `client.store.migrate` needs to create the tables."""
