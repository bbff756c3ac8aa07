"""Usage whose time is not believed: kept, visible, and counted when somebody says so."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, select, update

from trunkline.errors import NotFound, TrunklineError
from trunkline.services.billing.booking import book
from trunkline.services.billing.books import Books
from trunkline.services.billing.facts import Fact, text_of
from trunkline.services.billing.lateness import Doubt
from trunkline.services.billing.months import from_us, period_of
from trunkline.services.billing.sql import lock_tenants, values_rows
from trunkline.services.billing.tables import QUARANTINE

Verdict: TypeAlias = Literal["waiting", "accepted", "discarded"]


class Decided(TrunklineError):  # noqa: N818 - named for what happened
    """Somebody has accepted or discarded it."""


_HEAD: Final = (
    "INSERT INTO quarantine (tenant, source, id, type, time_us, arrived_us, data, reason, state) VALUES "
)
_TAIL: Final = " ON CONFLICT DO NOTHING"


def add(tx: Connection, doubted: Sequence[tuple[Fact, Doubt]]) -> None:
    """Keep facts that do not count, each with the reason."""
    rows = (
        (
            *fact.identity,
            fact.type,
            fact.time_us,
            fact.arrived_us,
            text_of(fact),
            reason,
            "waiting",
        )
        for fact, reason in doubted
    )
    values_rows(tx, _HEAD, _TAIL, rows)


def accept(tx: Connection, books: Books, number: int) -> Fact:
    """Count it after all, in the month of its time, or as a correction. Raises `NotFound` and `Decided`."""
    # The tenant's lock comes before any other, as everywhere; what is waiting may have changed until then.
    lock_tenants(tx, [_waiting(tx, number).tenant])
    row = _waiting(tx, number)
    fact = Fact(
        tenant=row.tenant,
        period=period_of(from_us(row.time_us)),
        type=row.type,
        source=row.source,
        id=row.id,
        time_us=row.time_us,
        arrived_us=row.arrived_us,
        data=msgspec.json.decode(row.data),
    )
    _settle(tx, number, "accepted", None)
    book(tx, books, [fact])
    return fact


def discard(tx: Connection, number: int, *, note: str) -> None:
    """Let it never count. Raises `NotFound` and `Decided`."""
    lock_tenants(tx, [_waiting(tx, number).tenant])
    _waiting(tx, number)
    _settle(tx, number, "discarded", note)


def _waiting(tx: Connection, number: int) -> Any:
    query = select(QUARANTINE).where(QUARANTINE.c.seq == number)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"nothing in the quarantine has the number {number}")
    if row.state != "waiting":
        raise Decided(f"number {number} of the quarantine was {row.state} already")
    return row


def _settle(tx: Connection, number: int, state: Verdict, note: str | None) -> None:
    table = QUARANTINE
    tx.execute(update(table).where(table.c.seq == number).values(state=state, note=note))
