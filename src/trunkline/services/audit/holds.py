"""Legal holds: what a tenant's entries say stays readable, even after its end, until the hold is released.

Placing and releasing one is itself recorded in the tenant's ledger.
"""

import os
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from trunkline.codec.identity import new_id
from trunkline.errors import InvalidInput
from trunkline.services.audit.entry import HOLD_PLACED, HOLD_RELEASED, from_us, to_us
from trunkline.services.audit.own import record_own
from trunkline.services.audit.tables import AUDIT_HOLD
from trunkline.services.kit.ending import erased_among

REASON_CHARS_MAX: Final = 2_000

_T: Final = AUDIT_HOLD.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold on a tenant's entries."""

    tenant: str
    reason: str
    placed_by: str
    placed_at: datetime


def place(tx: Connection, tenant: str, *, reason: str, by: str, now: datetime) -> None:
    """Hold a tenant's entries. Raises `InvalidInput` if they are held, or erased already."""
    if not reason or len(reason) > REASON_CHARS_MAX:
        raise InvalidInput(f"a hold needs a reason of up to {REASON_CHARS_MAX} characters")
    if (there := hold_of(tx, tenant)) is not None:
        raise InvalidInput(f"tenant {tenant} is held already, by {there.placed_by}: {there.reason}")
    if erased_among(tx, [tenant]):
        raise InvalidInput(f"tenant {tenant} has ended and its entries were erased; nothing is left to hold")
    row = {"tenant": tenant, "reason": reason, "placed_by": by, "placed_us": to_us(now)}
    tx.execute(insert(AUDIT_HOLD), row)
    _record(tx, HOLD_PLACED, tenant, reason=reason, by=by, now=now)


def release(tx: Connection, tenant: str, *, reason: str, by: str, now: datetime) -> None:
    """End a hold; if the tenant has ended, the running service erases its entries within seconds.

    Raises `InvalidInput` for a tenant that is not held.
    """
    if not reason or len(reason) > REASON_CHARS_MAX:
        raise InvalidInput(f"a release needs a reason of up to {REASON_CHARS_MAX} characters")
    if tx.execute(delete(AUDIT_HOLD).where(_T.tenant == tenant)).rowcount == 0:
        raise InvalidInput(f"tenant {tenant} is not held; `trunkline audit holds` lists those that are")
    _record(tx, HOLD_RELEASED, tenant, reason=reason, by=by, now=now)


def hold_of(tx: Connection, tenant: str) -> Hold | None:
    """The hold on a tenant's entries, if there is one."""
    return next(iter(holds(tx, tenant=tenant)), None)


def holds(tx: Connection, *, tenant: str | None = None) -> list[Hold]:
    """All holds, by tenant."""
    query = select(AUDIT_HOLD).order_by(_T.tenant)
    if tenant is not None:
        query = query.where(_T.tenant == tenant)
    return [
        Hold(
            tenant=row.tenant,
            reason=row.reason,
            placed_by=row.placed_by,
            placed_at=from_us(row.placed_us),
        )
        for row in tx.execute(query)
    ]


def _record(tx: Connection, type_: str, tenant: str, *, reason: str, by: str, now: datetime) -> None:
    record_own(
        tx,
        type_,
        ledger_of=tenant,
        tenant=tenant,
        id=new_id(),
        actor_id=by,
        body={"tenant": tenant, "reason": reason},
        now_us=to_us(now),
        random_bytes=os.urandom,
    )
