"""Transactional outbox: events that are published if, and only if, the transaction that made them commits."""

from trunkline.client.outbox.add import Outbox, add
from trunkline.client.outbox.relay import Relay
from trunkline.client.outbox.tables import OUTBOX

__all__ = ["OUTBOX", "Outbox", "Relay", "add"]
