"""Config: every setting has the value of its highest version in the log."""

from typing import Final

import msgspec
from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.config.tables import CONFIG_ENTRY
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_VALUES: Final = """
SELECT data ->> 'level', coalesce(data ->> 'scope', '') AS scope, data ->> 'key',
  max((data ->> 'version')::BIGINT), arg_max((data -> 'value')::VARCHAR, (data ->> 'version')::BIGINT),
  arg_max(type, (data ->> 'version')::BIGINT) AS last
FROM events WHERE type IN ('config.value_set.v1', 'config.value_unset.v1')
GROUP BY ALL HAVING last = 'config.value_set.v1'
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That the service keeps what it has told everybody."""
    table = CONFIG_ENTRY.c
    query = select(table.level, table.scope, table.key, table.version, table.value)
    with store.read() as tx:
        rows = tx.execute(query.where(table.kind == "value", table.value.is_not(None))).all()
    found = [(*row[:4], _same(row[4])) for row in rows]
    expected = [(*row[:4], _same(row[4])) for row in log.rows(_VALUES)]
    return [compare("every setting has the value of its highest version", expected, found)]


def _same(value: str) -> str:
    """JSON in one spelling."""
    return msgspec.json.encode(msgspec.json.decode(value), order="sorted").decode()
