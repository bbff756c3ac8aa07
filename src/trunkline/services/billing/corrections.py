"""Usage of a month that was closed before it arrived.

It is part of the month's aggregate, which says what was used, and a correction says that it is billed in
another one: what a month is billed for is its aggregate, less the corrections of it, plus those booked in it.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from sqlalchemy import Connection

from trunkline.catalogue.events.usage import UsageCorrectionRecorded
from trunkline.codec.identity import derive_id
from trunkline.services.billing.aggregates import Addition
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import EXACT, for_driver, plain
from trunkline.services.billing.facts import Fact
from trunkline.services.billing.metering import WHOLE, Key
from trunkline.services.billing.months import from_us, period_of
from trunkline.services.billing.periods import booking_period
from trunkline.services.billing.sql import values_rows

RECORDED: Final = "usage.correction_recorded.v1"
REASON: Final = "the usage arrived after its period was closed"

_HEAD: Final = (
    "INSERT INTO correction "
    "(tenant, period, booked_in, meter, grouping, delta, cause_source, cause_id) VALUES "
)
_TAIL: Final = " ON CONFLICT DO NOTHING"


def record(tx: Connection, books: Books, added: Addition, keys: Iterable[Key]) -> None:
    """Book what was added to these numbers of closed months, fact by fact: in the first month that is open,
    from that of its arrival on."""
    booked: dict[tuple[str, str], str] = {}
    rows = []
    for key in keys:
        tenant, period, meter, group = key
        value = added.kept(key).total.value
        for fact, after in added.steps(key):
            delta = EXACT.subtract(after.value, value)
            value = after.value
            if not delta:
                continue
            month = period_of(from_us(fact.arrived_us))
            if (tenant, month) not in booked:
                booked[tenant, month] = booking_period(tx, tenant, month)
            booked_in = booked[tenant, month]
            rows.append(
                (tenant, period, booked_in, meter, group, for_driver(tx, delta), fact.source, fact.id)
            )
            if group == WHOLE:
                _tell(tx, books, key, fact, delta=delta, booked_in=booked_in)
    values_rows(tx, _HEAD, _TAIL, rows)


def _tell(tx: Connection, books: Books, key: Key, fact: Fact, *, delta: Decimal, booked_in: str) -> None:
    tenant, period, meter, _ = key
    event_id = derive_id(RECORDED, tenant, meter, period, booked_in, plain(delta), fact.source, fact.id)
    books.outbox.emit(
        tx,
        UsageCorrectionRecorded(
            correction_id=event_id,
            meter=meter,
            period=period,
            booked_in=booked_in,
            delta=plain(delta),
            unit=books.meters.find(meter).unit,
            reason=REASON,
        ),
        tenant=tenant,
        id=event_id,
        time=from_us(fact.time_us),
        causationid=fact.id,
    )
