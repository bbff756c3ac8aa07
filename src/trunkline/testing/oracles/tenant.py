"""Tenants: state, tier and history of each, by what was told of it last."""

from typing import Final

from sqlalchemy import select

from trunkline.client.store import Store
from trunkline.services.tenant.tables import TENANT, TENANT_CHANGE
from trunkline.testing.checker import Claim
from trunkline.testing.oracles.events import EventLog, compare

# A change of tier leads to no other state. The row of a deleted tenant stays.
_STANDING: Final = """
WITH told AS (
  SELECT tenant, place, data ->> 'tier' AS tier, CASE type
      WHEN 'tenant.created.v1' THEN 'pending'
      WHEN 'tenant.activated.v1' THEN 'active'
      WHEN 'tenant.provisioning_failed.v1' THEN 'failed'
      WHEN 'tenant.suspended.v1' THEN 'suspended'
      WHEN 'tenant.reactivated.v1' THEN 'active'
      WHEN 'tenant.deletion_scheduled.v1' THEN 'pending_deletion'
      WHEN 'tenant.deleted.v1' THEN 'deleted'
    END AS state
  FROM said('tenant-service') WHERE topic = 'tenant.lifecycle.events'
)
SELECT tenant, arg_max(state, place) FILTER (state IS NOT NULL),
  arg_max(tier, place) FILTER (tier IS NOT NULL), count(*)
FROM told GROUP BY ALL
"""
_CHANGES: Final = """
SELECT tenant, row_number() OVER (PARTITION BY tenant ORDER BY place), type, id
FROM said('tenant-service') WHERE topic = 'tenant.lifecycle.events'
"""


def claims(log: EventLog, store: Store) -> list[Claim]:
    """That tenants are what their events say, and that every change was told, in order."""
    tenant, change = TENANT.c, TENANT_CHANGE.c
    with store.read() as tx:
        standing = tx.execute(select(tenant.tenant, tenant.state, tenant.tier, tenant.version)).all()
        changes = tx.execute(select(change.tenant, change.version, change.type, change.event_id)).all()
    return [
        compare(
            "every tenant has the state, tier and version that the log gave it last",
            log.rows(_STANDING),
            map(tuple, standing),
        ),
        compare(
            "every change of a tenant is in the log, in its order", log.rows(_CHANGES), map(tuple, changes)
        ),
    ]
