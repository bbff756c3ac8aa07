"""What becomes of a tenant's data at its end.

The numbers, and what they are billed by, stay: tax law wants them for years. Facts and members of unique
counts stay, too, and name nobody, for people stand in them as hashes whose key is destroyed (`subjects`).
What nobody needs any more is deleted.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, Table, delete, func, insert, select

from trunkline.services.billing.sql import lock_tenants
from trunkline.services.billing.subjects import Subjects
from trunkline.services.billing.tables import (
    ERASED_TENANT,
    QUARANTINE,
    THRESHOLD_STATE,
    USAGE_EVENT,
    USAGE_UNIQUE,
)

BLINDED: Final = (USAGE_EVENT, USAGE_UNIQUE)
DELETED: Final = (QUARANTINE, THRESHOLD_STATE)


class BillingEraser:
    """A `services.app.Eraser`."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        lock_tenants(tx, [tenant])
        counts = {"subject_key": self._subjects.forget(tx, tenant)}
        counts |= {f"{table.name} (blinded)": _rows(tx, table, tenant) for table in BLINDED}
        for table in DELETED:
            counts[table.name] = tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
        if not tx.execute(select(ERASED_TENANT).where(ERASED_TENANT.c.tenant == tenant)).first():
            tx.execute(insert(ERASED_TENANT), {"tenant": tenant})
        return counts


def _rows(tx: Connection, table: Table, tenant: str) -> int:
    return tx.execute(select(func.count()).select_from(table).where(table.c.tenant == tenant)).scalar_one()
