"""What is erased when a tenant has ended."""

from sqlalchemy import Connection, delete

from trunkline.services.iam.tables import ERASABLE


class IamEraser:
    """The service's `services.app.Eraser`. The receipts of the end itself stay."""

    def erase(self, tx: Connection, tenant: str) -> dict[str, int]:
        """See `Eraser`."""
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
            for table in ERASABLE
        }
