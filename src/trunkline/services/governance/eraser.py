"""The end of a tenant: everything of it goes. Decisions name people only by their ids."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete

from trunkline.services.governance.tables import BY_TENANT


class GovernanceEraser:
    """A `services.app.Eraser`."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in BY_TENANT
        }
