"""Governance: a table is quarantined from a failed check on, until the check has passed twice in a row."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.governance.tables import QUARANTINE
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

# As the settings have it unless somebody changes them: failures that are errors or critical, one is enough.
_QUARANTINED: Final = """
WITH results AS (
  SELECT tenant, data ->> 'asset' AS asset, data ->> 'check_id' AS check_id, time, id,
    type = 'quality.check_failed.v1' AND (data ->> 'severity') IN ('error', 'critical') AS failed,
    type = 'quality.check_passed.v1' AS passed
  FROM events WHERE type IN ('quality.check_passed.v1', 'quality.check_failed.v1')
),
standing AS (
  SELECT tenant, asset, check_id, max((time, id)) FILTER (failed) AS last_failed FROM results GROUP BY ALL
)
SELECT DISTINCT standing.tenant, standing.asset
FROM standing JOIN results USING (tenant, asset, check_id)
WHERE last_failed IS NOT NULL
GROUP BY standing.tenant, standing.asset, check_id, last_failed
HAVING count(*) FILTER (passed AND (time, id) > last_failed) < 2
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That exactly the assets whose checks fail are quarantined."""
    table = QUARANTINE.c
    with store.read() as tx:
        found = [tuple(row) for row in tx.execute(select(table.tenant, table.asset))]
    return [compare("exactly the tables whose checks fail are quarantined", log.rows(_QUARANTINED), found)]
