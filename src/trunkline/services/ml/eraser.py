"""What goes when a tenant goes: everything, for nothing here has to be kept."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete

from trunkline.services.ml.tables import ALL_TABLES


class RegistryEraser:
    """A `services.app.Eraser`."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """Delete the tenant's models with everything of them."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in ALL_TABLES
        }
