"""What goes when a tenant goes: everything, for nothing here has to be kept."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete

from trunkline.services.catalog import store, text_index
from trunkline.services.catalog.tables import ASSET, CHANGE, EDGE, FACET, REJECTED


class CatalogEraser:
    """A `services.app.Eraser`."""

    def erase(self, tx: Connection, tenant: str) -> Mapping[str, int]:
        """Delete the tenant's assets with all that is known of them."""
        store.lock(tx, [tenant])
        erased = {"catalog_text": text_index.forget(tx, tenant)}
        for table in (CHANGE, FACET, EDGE, REJECTED, ASSET):
            erased[table.name] = tx.execute(delete(table).where(table.c.tenant == tenant)).rowcount
        return erased
