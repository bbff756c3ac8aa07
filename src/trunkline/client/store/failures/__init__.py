"""The failure ledger: every record that was skipped, whole, until somebody replays or discards it."""

from trunkline.client.store.failures.failure import HANDLER, ID_CONFLICT, PARKED, REASONS, Failure, Status
from trunkline.client.store.failures.ledger import add, discard, failed_again, get, lock_open, settle
from trunkline.client.store.failures.queries import (
    EVERYTHING,
    Filter,
    StillParked,
    Total,
    counts,
    listed,
    newest_open,
    open_ids,
    quarantined,
    still_parked,
    totals,
)

__all__ = [
    "EVERYTHING",
    "HANDLER",
    "ID_CONFLICT",
    "PARKED",
    "REASONS",
    "Failure",
    "Filter",
    "Status",
    "StillParked",
    "Total",
    "add",
    "counts",
    "discard",
    "failed_again",
    "get",
    "listed",
    "lock_open",
    "newest_open",
    "open_ids",
    "quarantined",
    "settle",
    "still_parked",
    "totals",
]
