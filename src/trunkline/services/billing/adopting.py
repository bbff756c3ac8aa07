"""Takes the meters of the settings into the store, where they are for good, and applies them to the past.

A version is adopted in one transaction, with the word that its past is still to be counted; that word goes
when it has been, month by month. Whoever is interrupted in between, or the instance that comes after it, goes
on: counting a month again changes nothing where nothing differs.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, select, update

from trunkline.client.store import Store
from trunkline.errors import InvalidInput
from trunkline.services.billing import recounting
from trunkline.services.billing.books import Books, read_meters
from trunkline.services.billing.meters import Stored, added
from trunkline.services.billing.months import EPOCH, from_us, period_of, to_us
from trunkline.services.billing.sql import lock_meters, lock_tenants, values_rows
from trunkline.services.billing.tables import METER
from trunkline.services.billing.terms import Refused, Terms
from trunkline.services.settings.billing import METER as SETTING

_HEAD: Final = "INSERT INTO meter (code, version, effective_us, definition, recounted) VALUES "
_TAIL: Final = " ON CONFLICT DO NOTHING"


def adopt(tx: Connection, terms: Terms) -> list[Refused]:
    """Store the versions that are new; returns the settings that cannot follow what is stored."""
    rows, refused = compare(tx, terms)
    if not rows:
        return refused
    lock_meters(tx)
    rows, refused = compare(tx, terms)
    values_rows(tx, _HEAD, _TAIL, ((*row, 0) for row in rows))
    return refused


def compare(tx: Connection, terms: Terms) -> tuple[list[Stored], list[Refused]]:
    """The versions that the settings add to the store, and the settings that cannot follow what is there."""
    rows: list[Stored] = []
    refused: list[Refused] = []
    known = read_meters(tx)
    for code, meter in terms.meters.items():
        try:
            row = added(known, code, meter)
        except InvalidInput as error:
            refused.append(Refused(SETTING.pattern.replace("*", code.lower()), None, str(error)))
        else:
            rows += [] if row is None else [row]
    return rows, refused


def count_the_past(store: Store, books: Callable[[Connection], Books]) -> int:
    """Count again, in open months, what was counted before a version was adopted; returns how many numbers
    changed. One transaction a month of a tenant."""
    with store.read() as tx:
        pending = tx.execute(
            select(METER.c.code, METER.c.version, METER.c.effective_us).where(METER.c.recounted == 0)
        ).all()
    changed = 0
    for code, version, effective_us in pending:
        since = period_of(from_us(max(effective_us, to_us(EPOCH))))
        with store.read() as tx:
            months = recounting.months(tx, open_only=True, since=since)
        for month in months:
            with store.write() as tx:
                lock_tenants(tx, [month[0]])
                if recounting.is_open(tx, month):
                    changed += len(recounting.recount(tx, books(tx), month, [code]))
        with store.write() as tx:
            tx.execute(
                update(METER).where(METER.c.code == code, METER.c.version == version).values(recounted=1)
            )
    return changed
