"""What a month of a tenant comes to: what was used, what of that is billed elsewhere, and what it costs."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from trunkline.services.billing import plans
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import EXACT, ZERO
from trunkline.services.billing.metering import WHOLE
from trunkline.services.billing.months import bounds
from trunkline.services.billing.tables import CORRECTION, USAGE_AGG


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of a meter or one of its groups, and its cost.

    `used_in` is the month in which it was used; where that is not the month that it is billed in, it is a
    correction.
    """

    meter: str
    group: str
    used_in: str
    quantity: Decimal
    price: Decimal

    @property
    def cost(self) -> Decimal:
        """Quantity times price, exactly."""
        return EXACT.multiply(self.quantity, self.price)


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """The charges of a month, by meter and group, with corrections behind the month's own."""

    tenant: str
    period: str
    tier: str | None
    currency: str
    charges: tuple[Charge, ...]

    @property
    def whole(self) -> list[Charge]:
        """One charge for each meter, and one for each month corrected."""
        return [charge for charge in self.charges if charge.group == WHOLE]

    def totals(self) -> dict[str, Decimal]:
        """What is billed of each meter."""
        found: dict[str, Decimal] = {}
        for charge in self.whole:
            found[charge.meter] = EXACT.add(found.get(charge.meter, ZERO), charge.quantity)
        return found

    @property
    def amount(self) -> Decimal:
        """What the month costs."""
        return _sum(charge.cost for charge in self.whole)


PLACES: Final = Decimal("1e-9")
"""Of an amount that an event tells."""


def bill(tx: Connection, books: Books, *, tenant: str, period: str) -> Bill:
    """What a month comes to now. Raises `InvalidInput` for what is no month."""
    bounds(period)
    tier = plans.read(tx, [tenant]).tier(tenant, period)
    quantities = _quantities(tx, tenant, period)
    charges = (
        Charge(
            meter=meter, group=group, used_in=used_in, quantity=quantity, price=books.terms.price(meter, tier)
        )
        for (meter, group, used_in), quantity in sorted(quantities.items())
    )
    return Bill(
        tenant=tenant, period=period, tier=tier, currency=books.terms.currency(tier), charges=tuple(charges)
    )


def _quantities(tx: Connection, tenant: str, period: str) -> dict[tuple[str, str, str], Decimal]:
    """By meter, group, and the month in which it was used."""
    used, corrected = USAGE_AGG.c, CORRECTION.c
    found: dict[tuple[str, str, str], Decimal] = {}
    rows = tx.execute(
        select(used.meter, used.grouping, used.value).where(used.tenant == tenant, used.period == period)
    )
    for meter, group, value in rows:
        found[meter, group, period] = value
    columns = (corrected.meter, corrected.grouping, corrected.period, corrected.booked_in, corrected.delta)
    corrections = select(*columns).where(
        corrected.tenant == tenant, (corrected.period == period) | (corrected.booked_in == period)
    )
    for meter, group, used_in, booked_in, delta in tx.execute(corrections):
        if used_in == period:
            found[meter, group, period] = EXACT.subtract(found[meter, group, period], delta)
        if booked_in == period:
            place = (meter, group, used_in)
            found[place] = EXACT.add(found.get(place, ZERO), delta)
    return found


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return total
