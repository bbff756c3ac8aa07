"""The end of a tenant: everything of it goes, secrets and addresses among it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete

from trunkline.services.notification import tables as at
from trunkline.services.notification.channels.file import directory_of

TABLES: Final = (
    at.DELIVERY,
    at.NOTIFICATION,
    at.ATTEMPT,
    at.INBOX,
    at.ITEM,
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
"""Deliveries first: the sender, who holds the locks of those whose end it records, has then committed what it
adds to other tables, or finds them gone."""


class NotificationEraser:
    """A `services.app.Eraser`. What is being sent at this moment finds no delivery to report to."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        # The files first: should the transaction fail, it is tried again, and finds none.
        if (files := directory_of(self._data_dir, tenant)).exists():
            shutil.rmtree(files)
        return {
            table.name: tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount for table in TABLES
        }
