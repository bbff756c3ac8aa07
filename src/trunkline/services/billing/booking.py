"""Books facts: keeps them, adds them to the numbers, compares these with the limits.

A few statements for any number of facts. Called under the locks of the tenants.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from trunkline.client import failpoints
from trunkline.services.billing import aggregates, corrections, facts, metering, periods, quotas
from trunkline.services.billing.aggregates import Addition
from trunkline.services.billing.books import Books
from trunkline.services.billing.facts import Fact


def book(tx: Connection, books: Books, given: Sequence[Fact]) -> int:
    """Count facts, each in the month in which it happened; returns how many were new.

    One that was counted before changes nothing. Raises `PermanentFailure` for usage that cannot be.
    """
    fresh = facts.add(tx, given) if given else []
    if not fresh:
        return 0
    months = periods.open_all(tx, fresh)
    lines = metering.measure(fresh, books.meters)
    added = Addition(aggregates.read(tx, lines.keys()), lines, aggregates.join(tx, lines))
    after = {key: added.after(key) for key in lines}
    closed = [key for key in lines if months[key[0], key[1]].closed_us is not None]
    still_open = {key: kept for key, kept in after.items() if key not in closed} if closed else after
    corrections.record(tx, books, added, closed)
    aggregates.write(tx, {**after, **quotas.watch(tx, books, added, still_open)})
    failpoints.reach("billing.applied")
    return len(fresh)
