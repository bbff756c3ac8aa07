"""Months of tenants: which are open, and since when."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec
from sqlalchemy import Connection

from trunkline.services.billing.facts import Fact
from trunkline.services.billing.months import next_period
from trunkline.services.billing.sql import values_rows

PeriodKey: TypeAlias = tuple[str, str]
"""Tenant and period."""

_READ_HEAD: Final = "SELECT found.tenant, found.period, found.opened_us, found.closed_us FROM (VALUES "
_READ_TAIL: Final = (
    ") AS wanted CROSS JOIN usage_period AS found "
    "WHERE found.tenant = wanted.column1 AND found.period = wanted.column2"
)
_OPEN_HEAD: Final = "INSERT INTO usage_period (tenant, period, opened_us) VALUES "
_OPEN_TAIL: Final = " ON CONFLICT DO NOTHING"


class State(msgspec.Struct, frozen=True):
    """When the first usage of a month arrived, and when it was closed, if it was."""

    opened_us: int
    closed_us: int | None = None


def read(tx: Connection, keys: Iterable[PeriodKey]) -> dict[PeriodKey, State]:
    """Those of these months that have usage, or were closed without."""
    rows = values_rows(tx, _READ_HEAD, _READ_TAIL, keys)
    return {(tenant, period): State(opened_us, closed_us) for tenant, period, opened_us, closed_us in rows}


def open_all(tx: Connection, facts: Iterable[Fact]) -> Mapping[PeriodKey, State]:
    """The months of these facts; those that have had none are opened, by their first arrival."""
    arrivals: dict[PeriodKey, int] = {}
    for fact in facts:
        arrivals.setdefault((fact.tenant, fact.period), fact.arrived_us)
    found = read(tx, arrivals)
    new = {key: State(arrived_us) for key, arrived_us in arrivals.items() if key not in found}
    values_rows(tx, _OPEN_HEAD, _OPEN_TAIL, ((*key, state.opened_us) for key, state in new.items()))
    return {**found, **new}


def booking_period(tx: Connection, tenant: str, period: str) -> str:
    """The first month from `period` on that is not closed for the tenant."""
    while True:
        state = read(tx, [(tenant, period)]).get((tenant, period))
        if state is None or state.closed_us is None:
            return period
        period = next_period(period)
