"""Does something within a transaction so that its failure costs nothing else in it."""

from collections.abc import Callable

from sqlalchemy import Connection

from trunkline.client.blame import is_world_at_fault, one_line
from trunkline.client.handler import RetryLater
from trunkline.client.store import Store


def in_savepoint(store: Store, tx: Connection, work: Callable[[], object]) -> Exception | None:
    """Do it; what it failed with, and then all it did in `tx` is undone, or None.

    Raises `RetryLater` or the store's own error when the world is at fault; the transaction must end then.
    """
    savepoint = tx.begin_nested()
    try:
        work()
        # Before the release, which would fail and leave nothing to go back to.
        store.check(tx)
        savepoint.commit()
    except RetryLater:
        raise
    except Exception as error:
        if store.unavailable(error) is not None:
            raise
        if is_world_at_fault(error):
            raise RetryLater(one_line(error)) from error
        savepoint.rollback()
        return error
    return None
