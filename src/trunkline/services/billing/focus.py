"""Usage and its cost in FOCUS 1.2, the FinOps Open Cost and Usage Specification (focus.finops.org).

All 21 mandatory columns are there, and of the conditional ones those that hold for a platform that meters
usage and has a list of prices. A sum or a count that groups has a row for each group, another meter a single
row, and usage that came after its month was closed has rows of the class Correction. Columns that begin with
`x_` are our own.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection

from trunkline.services.billing.bills import Bill, Charge, bill
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import EXACT, plain
from trunkline.services.billing.metering import WHOLE
from trunkline.services.billing.months import bounds

MANDATORY: Final = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
)
CONDITIONAL: Final = (
    "ChargeFrequency",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedUnitPrice",
    "ListUnitPrice",
    "PricingCategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceId",
    "Tags",
)
OWN: Final = ("x_Tier",)
COLUMNS: Final = (*MANDATORY, *CONDITIONAL, *OWN)

UNITS: Final = {"bytes": "B", "microseconds": "Microseconds"}
"""Units of the specification's own list, where capitals do not make one of ours."""

_AI: Final = ("agent.",)


def rows(tx: Connection, books: Books, *, tenant: str, period: str) -> list[dict[str, str]]:
    """A month's charges as records of FOCUS. Raises `InvalidInput` for what is no month."""
    of = bill(tx, books, tenant=tenant, period=period)
    return [_row(books, of, charge) for whole in of.whole for charge in _parts(books, of, whole)]


def text(records: Iterable[dict[str, str]]) -> Iterator[str]:
    """The records as CSV, line by line, the names of the columns first."""
    line = io.StringIO()
    writer = csv.DictWriter(line, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for record in records:
        yield line.getvalue()
        line.seek(0)
        line.truncate()
        writer.writerow(record)
    yield line.getvalue()


def _parts(books: Books, of: Bill, whole: Charge) -> list[Charge]:
    """What a meter is exported as: its groups, where they add up to it, and what is in none of them.

    So the costs of all rows add up to the amount of the bill.
    """
    groups = [
        one
        for one in of.charges
        if (one.meter, one.used_in) == (whole.meter, whole.used_in) and one.group != WHOLE
    ]
    if books.meters.find(whole.meter).aggregation not in ("count", "sum") or not groups:
        return [whole]
    rest = whole.quantity
    for group in groups:
        rest = EXACT.subtract(rest, group.quantity)
    return [*groups, msgspec.structs.replace(whole, quantity=rest)] if rest else groups


def _row(books: Books, of: Bill, charge: Charge) -> dict[str, str]:
    version = books.meters.find(charge.meter)
    billed, used = bounds(of.period), bounds(charge.used_in)
    cost, price, quantity = plain(charge.cost), plain(charge.price), plain(charge.quantity)
    unit = UNITS.get(version.unit, version.unit[:1].upper() + version.unit[1:])
    late = charge.used_in != of.period
    return {
        "BilledCost": cost,
        "BillingAccountId": of.tenant,
        "BillingAccountName": of.tenant,
        "BillingCurrency": of.currency,
        "BillingPeriodEnd": _moment(billed[1]),
        "BillingPeriodStart": _moment(billed[0]),
        "ChargeCategory": "Usage",
        "ChargeClass": "Correction" if late else "",
        "ChargeDescription": f"{charge.meter} {charge.group}".rstrip()
        + (f", used in {charge.used_in} and told of later" if late else ""),
        "ChargePeriodEnd": _moment(used[1]),
        "ChargePeriodStart": _moment(used[0]),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": books.terms.provider,
        "ListCost": cost,
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ProviderName": books.terms.provider,
        "PublisherName": books.terms.provider,
        "ServiceCategory": "AI and Machine Learning" if version.event_type.startswith(_AI) else "Analytics",
        "ServiceName": "Agents" if version.event_type.startswith(_AI) else "Queries",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": unit,
        "ContractedUnitPrice": price,
        "ListUnitPrice": price,
        "PricingCategory": "Standard",
        "SkuId": charge.meter,
        "SkuMeter": charge.meter,
        "SkuPriceId": f"{charge.meter}/{of.tier or 'none'}",
        "Tags": charge.group,
        "x_Tier": of.tier or "",
    }


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
