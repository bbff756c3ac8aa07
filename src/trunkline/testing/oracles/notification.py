"""Notification: its history is the log, and a pipeline is in trouble when its last run has failed."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.notification.tables import EVENT, INCIDENT
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

_EVENTS: Final = """
SELECT tenant, source, id FROM events WHERE topic IN (
  'tenant.lifecycle.events', 'pipeline.job.events', 'data.quality.events', 'billing.usage.events'
)
"""
_IN_TROUBLE: Final = """
SELECT tenant, concat(data ->> 'namespace', '/', data ->> 'job') AS pipeline,
  arg_max(type, (time, id)) AS last
FROM events WHERE type IN ('pipeline.run_failed.v1', 'pipeline.run_completed.v1')
GROUP BY ALL HAVING last = 'pipeline.run_failed.v1'
"""
RULE: Final = "pipeline-failed"


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That nothing was overlooked, and that exactly the failing pipelines are told of."""
    event, incident = EVENT.c, INCIDENT.c
    firing = (incident.rule == RULE) & (incident.state == "firing")
    with store.read() as tx:
        known = [tuple(row) for row in tx.execute(select(event.tenant, event.source, event.id))]
        open_ones = [tuple(row) for row in tx.execute(select(incident.tenant, incident.key).where(firing))]
    ended = {
        tenant
        for (tenant,) in log.rows("SELECT DISTINCT tenant FROM events WHERE type = 'tenant.deleted.v1'")
    }
    return [
        compare(
            "notification has seen every event of its topics",
            (row for row in log.rows(_EVENTS) if row[0] not in ended),
            known,
        ),
        compare(
            "exactly the pipelines whose last run failed are open incidents",
            (row[:2] for row in log.rows(_IN_TROUBLE) if row[0] not in ended),
            open_ones,
        ),
    ]
