"""Data quality: how often every table was read, and its queries failed, by a count over the log."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.quality.tables import QUALITY_ASSET
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_READS: Final = """
SELECT tenant, asset, count(*) FROM (
  SELECT DISTINCT tenant, source, id, unnest(from_json(data -> 'tables', '["VARCHAR"]')) AS asset
  FROM events WHERE type = 'query.completed.v1' AND coalesce(data ->> 'origin', 'user') <> 'dq'
) GROUP BY ALL
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That the profile of every table counts what was really asked of it."""
    table = QUALITY_ASSET.c
    with store.read() as tx:
        rows = tx.execute(select(table.tenant, table.asset, table.reads).where(table.reads > 0)).all()
    found = [tuple(row) for row in rows]
    return [compare("data quality has counted every read of every table", log.rows(_READS), found)]
