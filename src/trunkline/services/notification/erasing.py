"""The end of a tenant: everything of it goes, secrets and addresses among it."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, delete

from trunkline.services.notification import tables as at

TABLES: Final = (
    at.ATTEMPT,
    at.INBOX,
    at.DELIVERY,
    at.ITEM,
    at.NOTIFICATION,
    at.INCIDENT,
    at.DECISION,
    at.EVENT,
    at.ENDPOINT,
    at.SILENCE,
    at.PREFERENCE,
    at.RECIPIENT,
    at.SECRET,
    at.TENANT,
)


class NotificationEraser:
    """A `services.app.Eraser`. What is being sent at this moment finds no delivery to report to."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount for table in TABLES
        }
