"""The one table of a tenant's end in every service's store. `kit/migrations/ending` creates it."""

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

from trunkline.client.store import Component

METADATA: Final = MetaData()

ENDED_TENANT: Final = Table(
    "ended_tenant",
    METADATA,
    Column("tenant", Text, primary_key=True),
    Column("deletion_id", Text, nullable=False),
    Column("deleted_us", BigInteger, nullable=False),
    # When this store heard of it: from then on nothing of the tenant takes effect.
    Column("ended_us", BigInteger, nullable=False),
    # Why its data is still here, while `erased_us` is null: a legal hold, or an error.
    Column("waits_for", Text),
    Column("erased_us", BigInteger),
    # JSON: how many rows of which table.
    Column("erased_rows", Text),
    Column("keys_destroyed", Integer),
    # The receipt is in the log.
    Column("answered_us", BigInteger),
    # Events that came afterwards and were dropped.
    Column("dropped", BigInteger, nullable=False, server_default="0"),
)

ENDING: Final = Component("ending", Path(__file__).parent.parent / "migrations" / "ending")
"""What `client.store.migrate` needs to create the table."""
