"""Closes months: what arrives for one later is a correction.

A month can be closed once it is over, and while the failure ledger holds no open event of the tenant, which
might be usage. It closes by itself when nothing can be late any more: one grace after its end, or after its
first usage arrived where that was later, as for history that is imported.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec
from sqlalchemy import Connection, func, select, update

from trunkline.catalogue.events.usage import UsagePeriodClosed
from trunkline.client import failpoints
from trunkline.client.store import failures
from trunkline.client.store.tables import FAILURE
from trunkline.codec.identity import derive_id
from trunkline.errors import NotFound, TrunklineError
from trunkline.services.billing import periods
from trunkline.services.billing.bills import Bill, bill
from trunkline.services.billing.books import Books
from trunkline.services.billing.exact import plain
from trunkline.services.billing.months import bounds, end_us, to_us
from trunkline.services.billing.periods import PeriodKey
from trunkline.services.billing.sql import lock_tenants
from trunkline.services.billing.tables import ERASED_TENANT, PERIOD, USAGE_EVENT

CLOSED: Final = "usage.period_closed.v1"
DUE_MAX: Final = 1_000
"""How many months one look finds; the next look finds the next."""


class PeriodCloseBlocked(TrunklineError):  # noqa: N818 - named for what happened to the month
    """A month cannot be closed as long as an event of the tenant waits in the failure ledger."""


class PeriodNotOpen(TrunklineError):  # noqa: N818 - named for what is the matter
    """A month cannot be closed: it is not over yet, or it is closed."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A month that is final."""

    tenant: str
    period: str
    closed_at: datetime
    events: int
    totals: dict[str, str]
    digest: str
    amount: str
    currency: str


def close(tx: Connection, books: Books, *, tenant: str, period: str, now: datetime) -> Closed:
    """Close a month of a tenant and publish it.

    Raises `InvalidInput` for what is no month, `NotFound` for one without usage, `PeriodNotOpen` and
    `PeriodCloseBlocked`.
    """
    lock_tenants(tx, [tenant])
    _, end = bounds(period)
    if now < end:
        raise PeriodNotOpen(f"period {period} of {tenant} ends at {end:%Y-%m-%dT%H:%MZ}; close it after that")
    state = periods.read(tx, [(tenant, period)]).get((tenant, period))
    if state is None:
        raise NotFound(f"{tenant} has used nothing in {period}; there is nothing to close")
    if state.closed_us is not None:
        raise PeriodNotOpen(f"period {period} of {tenant} is closed already")
    _require_no_failures(tx, books, tenant, period)
    closed = _closed(tx, bill(tx, books, tenant=tenant, period=period), now)
    tx.execute(
        update(PERIOD)
        .where(PERIOD.c.tenant == tenant, PERIOD.c.period == period)
        .values(closed_us=to_us(now), digest=closed.digest)
    )
    _publish(tx, books, closed)
    failpoints.reach("billing.period_closed")
    return closed


def due(tx: Connection, *, now: datetime, grace_us: int) -> list[PeriodKey]:
    """The open months whose grace is over, of tenants that have not ended."""
    table = PERIOD.c
    before_us = to_us(now) - grace_us
    query = (
        select(table.tenant, table.period)
        .where(
            table.closed_us.is_(None),
            table.opened_us <= before_us,
            table.tenant.not_in(select(ERASED_TENANT.c.tenant)),
        )
        .order_by(table.period, table.tenant)
    )
    found = ((tenant, period) for tenant, period in tx.execute(query) if end_us(period) <= before_us)
    return [key for key, _ in zip(found, range(DUE_MAX), strict=False)]


def open_failures(tx: Connection, *, service: str, tenant: str) -> int:
    """How many events of the tenant wait in the failure ledger."""
    table = FAILURE.c
    query = select(func.count()).where(
        table.consumer_group == service,
        table.tenantid == tenant,
        table.status == failures.Status.OPEN,
    )
    return tx.execute(query).scalar_one()


def _require_no_failures(tx: Connection, books: Books, tenant: str, period: str) -> None:
    service = books.outbox.service
    if waiting := open_failures(tx, service=service, tenant=tenant):
        raise PeriodCloseBlocked(
            f"period {period} of {tenant} cannot be closed: {waiting} of its events failed and may be usage; "
            f"see `trunkline failures list --service {service}`, then replay or discard them"
        )


def _closed(tx: Connection, of: Bill, now: datetime) -> Closed:
    events, digest = _digest(tx, of)
    return Closed(
        tenant=of.tenant,
        period=of.period,
        closed_at=now,
        events=events,
        totals={meter: plain(quantity) for meter, quantity in of.totals().items()},
        digest=digest,
        amount=plain(of.amount),
        currency=of.currency,
    )


def _digest(tx: Connection, of: Bill) -> tuple[int, str]:
    """How many facts the month has, and SHA-256 of them and of what they come to."""
    facts = 0
    combined = 0
    for line in _fact_lines(tx, of.tenant, of.period):
        facts += 1
        # A sum, because facts have no order: whoever has the same ones finds the same.
        combined += int.from_bytes(sha256(line).digest())
    charges = [
        (one.meter, one.group, one.used_in, plain(one.quantity), plain(one.price)) for one in of.charges
    ]
    content = (of.tenant, of.period, facts, f"{combined % (1 << 256):064x}", charges)
    return facts, sha256(msgspec.json.encode(content)).hexdigest()


def _fact_lines(tx: Connection, tenant: str, period: str) -> Iterator[bytes]:
    table = USAGE_EVENT.c
    query = select(table.source, table.id, table.type, table.time_us).where(
        table.tenant == tenant, table.period == period
    )
    for row in tx.execute(query.execution_options(yield_per=1_000)):
        yield msgspec.json.encode(tuple(row))


def _publish(tx: Connection, books: Books, closed: Closed) -> None:
    event_id = derive_id(CLOSED, closed.tenant, closed.period, closed.digest)
    books.outbox.emit(
        tx,
        UsagePeriodClosed(
            period=closed.period,
            closed_at=closed.closed_at,
            events=closed.events,
            totals=closed.totals,
            digest=closed.digest,
            amount=closed.amount,
            currency=closed.currency,
        ),
        tenant=closed.tenant,
        id=event_id,
        time=closed.closed_at,
    )
