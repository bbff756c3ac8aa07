"""A service's own store: consumer position, dedupe, failure ledger, and whatever tables the service adds."""

from trunkline.client.store.engine import Store, open_store
from trunkline.client.store.migrate import CONSUMER_STATE, Component, migrate

__all__ = ["CONSUMER_STATE", "Component", "Store", "migrate", "open_store"]
