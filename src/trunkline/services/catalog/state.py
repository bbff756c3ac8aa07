"""Everything that must be the same after any order, any repetition and a replay, as one hash."""

from sqlalchemy import Connection

from trunkline.services.catalog.tables import ASSET, CHANGE, EDGE, FACET, REJECTED
from trunkline.services.kit.digest import digest_of

ARRIVAL = ("seq", "row_id")


def state_digest(tx: Connection) -> str:
    """SHA-256 over all tables, without the order of arrival."""
    return digest_of(
        tx,
        [
            (table.name, [column for column in table.c if column.name not in ARRIVAL])
            for table in (CHANGE, FACET, ASSET, EDGE, REJECTED)
        ],
    )
