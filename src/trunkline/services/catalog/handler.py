"""The catalog service's effect: what events say of assets becomes part of what is known of them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from trunkline.client.handler import Received, Refusal
from trunkline.codec.record import Record
from trunkline.services.catalog import store
from trunkline.services.catalog.batch import gathered


class CatalogHandler:
    """A `client.handler.Handler`. It passes over events that say nothing of assets."""

    def handle(self, tx: Connection, events: Sequence[Received]) -> None:
        store.write(tx, gathered(received.event for received in events))

    def refused(self, tx: Connection, record: Record, refusal: Refusal) -> None:
        """Nothing is known of an asset from a record that is no event."""
