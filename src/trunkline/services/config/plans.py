"""Changes that wait for their time, or for the word of a second person; in the caller's transaction."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from trunkline.catalogue.events.config import Level
from trunkline.client.broadcast.entries import Kind, Name
from trunkline.client.store.text import storable
from trunkline.codec import derive_id
from trunkline.codec.identity import new_id
from trunkline.errors import InvalidInput, TrunklineError
from trunkline.services.config import book
from trunkline.services.config.changes import Applied, Draft, Rules, apply, check, check_tenant
from trunkline.services.config.tables import CONFIG_PLAN

OPEN_MAX: Final = 1_000
"""Plans that wait, over all names."""

OPEN_OF_SCOPE_MAX: Final = 100
"""Of one tenant, so that it leaves room for the others."""

AHEAD_MAX: Final = timedelta(days=366)
DUE_MAX: Final = 50
"""Applied in one transaction; the next one follows at once."""

_T: Final = CONFIG_PLAN.c


class Status(StrEnum):
    """Where a plan is in its life; the last three are its ends."""

    PROPOSED = "proposed"
    SCHEDULED = "scheduled"
    APPLIED = "applied"
    CANCELLED = "cancelled"
    REFUSED = "refused"


OPEN: Final = (Status.PROPOSED, Status.SCHEDULED)


class PlanClosed(TrunklineError):  # noqa: N818 - named for what is the matter
    """It was settled before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a plan; `version` is what it made the name's, or found there."""

    id: str
    key: str
    kind: Kind
    level: Level
    scope: str | None
    status: Status
    version: int | None
    note: str | None


def make(tx: Connection, draft: Draft, rules: Rules, *, due: datetime, now: datetime) -> tuple[str, Status]:
    """Keep a change for later; returns its id. Raises `InvalidInput` and `TenantEnded`.

    One that needs approval is for the version that is there now: who approves it has seen what it replaces.
    """
    definition = check(draft, rules)
    if due - now > AHEAD_MAX:
        raise InvalidInput(f"{draft.name.key}: a change can be scheduled {AHEAD_MAX.days} days ahead at most")
    book.lock(tx)
    check_tenant(tx, draft.name)
    _check_room(tx, draft.name)
    status = Status.PROPOSED if definition is not None and definition.approval else Status.SCHEDULED
    expected = draft.expected
    if expected is None and status is Status.PROPOSED:
        present = book.read(tx, draft.name)
        expected = 0 if present is None else present.version
    plan = new_id()
    value = None if draft.value is msgspec.UNSET else msgspec.json.encode(draft.value).decode()
    row = {
        **book.scope_columns(draft.name),
        "id": plan,
        "value": value,
        "actor": storable(draft.actor),
        "reason": None if draft.reason is None else storable(draft.reason),
        "origin": draft.origin,
        "expected": expected,
        "created_us": book.to_us(now),
        "due_us": book.to_us(due),
        "status": status,
    }
    tx.execute(insert(CONFIG_PLAN), [row])
    return plan, status


def approve(tx: Connection, plan: str, rules: Rules, *, actor: str, now: datetime) -> Settled:
    """A second person agrees; what is due is applied. Raises `InvalidInput` and `PlanClosed`."""
    row = _open_one(tx, plan)
    if row["status"] != Status.PROPOSED:
        raise PlanClosed(f"plan {plan} needs nobody's word; it is {row['status']}")
    if row["actor"] == actor:
        raise InvalidInput(f"plan {plan} was proposed by {actor}; another person has to approve it")
    tx.execute(
        update(CONFIG_PLAN).where(_T.id == plan).values(approved_by=storable(actor), status=Status.SCHEDULED)
    )
    if row["due_us"] > book.to_us(now):
        return _settled(row, Status.SCHEDULED)
    return _settle(tx, row, rules, now=now)


def cancel(tx: Connection, plan: str, *, actor: str, now: datetime) -> Settled:
    """Take a plan back. Raises `InvalidInput` and `PlanClosed`."""
    row = _open_one(tx, plan)
    return _close(tx, row, Status.CANCELLED, now=now, note=f"by {actor}")


def apply_due(tx: Connection, rules: Rules, *, now: datetime) -> list[Settled]:
    """Apply what is due, the earliest first; what cannot be applied any more is refused, with the reason.

    All in one transaction, under the book's lock: whichever instance comes first does it, and only once.
    """
    book.lock(tx)
    due = (
        select(CONFIG_PLAN)
        .where(_T.status == Status.SCHEDULED, _T.due_us <= book.to_us(now))
        .order_by(_T.due_us, _T.id)
        .limit(DUE_MAX)
    )
    rows = tx.execute(due).mappings().all()
    return [_settle(tx, row, rules, now=now) for row in rows]


def next_due(tx: Connection) -> datetime | None:
    """When the next plan is due."""
    first = tx.execute(select(func.min(_T.due_us)).where(_T.status == Status.SCHEDULED)).scalar()
    return None if first is None else book.from_us(first)


def forget(tx: Connection, name_scope: str) -> int:
    """Delete the plans of a tenant's own level; returns how many."""
    return tx.execute(delete(CONFIG_PLAN).where(_T.level == "tenant", _T.scope == name_scope)).rowcount


def _settle(tx: Connection, row: RowMapping, rules: Rules, *, now: datetime) -> Settled:
    draft = Draft(
        name=book.name_of(row),
        value=book.value_of(row),
        actor=row["actor"],
        reason=row["reason"],
        expected=row["expected"],
        origin="planned",
    )
    try:
        # The id follows from the plan: an event that is published twice is one event.
        made: Applied = apply(
            tx, draft, rules, now=now, event_id=derive_id(rules.outbox.source, "plan", row["id"])
        )
    except TrunklineError as error:
        return _close(tx, row, Status.REFUSED, now=now, note=str(error))
    return _close(tx, row, Status.APPLIED, now=now, version=made.version)


def _close(
    tx: Connection,
    row: RowMapping,
    status: Status,
    *,
    now: datetime,
    version: int | None = None,
    note: str | None = None,
) -> Settled:
    kept = None if note is None else storable(note)
    tx.execute(
        update(CONFIG_PLAN)
        .where(_T.id == row["id"])
        .values(status=status, settled_us=book.to_us(now), version=version, note=kept)
    )
    return _settled(row, status, version=version, note=kept)


def _settled(
    row: RowMapping, status: Status, *, version: int | None = None, note: str | None = None
) -> Settled:
    return Settled(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        level=row["level"],
        scope=row["scope"] or None,
        status=status,
        version=version,
        note=note,
    )


def _open_one(tx: Connection, plan: str) -> RowMapping:
    book.lock(tx)
    row = tx.execute(select(CONFIG_PLAN).where(_T.id == plan)).mappings().first()
    if row is None:
        raise InvalidInput(f"there is no plan {plan[:80]!r}; `trunkline config scheduled` lists them")
    if row["status"] not in OPEN:
        raise PlanClosed(f"plan {plan} is {row['status']} already")
    return row


def _check_room(tx: Connection, name: Name) -> None:
    waiting = select(func.count()).where(_T.status.in_(OPEN))
    if tx.execute(waiting).scalar_one() >= OPEN_MAX:
        raise InvalidInput(f"{OPEN_MAX} changes wait already; cancel some")
    if name.level != "tenant":
        return
    of_scope = waiting.where(_T.level == "tenant", _T.scope == name.scope)
    if tx.execute(of_scope).scalar_one() >= OPEN_OF_SCOPE_MAX:
        raise InvalidInput(f"{OPEN_OF_SCOPE_MAX} changes of {name.scope} wait already; cancel some")
