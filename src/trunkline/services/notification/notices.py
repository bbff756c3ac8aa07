"""Notifications and their deliveries, put into the store: one row a window, joined until it is being sent.

A window's notification has an identity that follows from rule, group and time alone. Whatever belongs to the
window joins it until its first delivery is leased; from then on it is closed, so that every retry says the
same, and what comes later goes into a successor of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, func, select, update

from trunkline.codec.identity import derive_id
from trunkline.services.notification.rows import chunks, dialect_insert, insert_new
from trunkline.services.notification.tables import DELIVERY, ITEM, NOTIFICATION

Kind: TypeAlias = Literal["alert", "update", "repeat", "resolved", "digest", "test"]

WITHDRAWN: Final = "resolved"


@dataclass(slots=True, kw_only=True)
class Item:
    """What a notification tells of, or would but for `reason`: an event, or in a digest a notification."""

    ref: str
    time_us: int
    incident: str | None = None
    source: str | None = None
    event_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a notification goes. A `reason` says why it does not."""

    channel: str
    target: str
    reason: str | None = None


@dataclass(slots=True, kw_only=True)
class Draft:
    """A notification as an event or a timer asks for it.

    `due_us` is when it may be sent; `late_us` when what comes too late for it may.
    """

    id: str
    tenant: str
    kind: Kind
    rule: str
    rule_version: int
    title: str
    severity: str
    category: str
    template: str
    group: str
    window_us: int
    due_us: int
    late_us: int
    channels: tuple[str, ...] = ()
    items: list[Item] = field(default_factory=list)

    @property
    def is_active(self) -> bool:
        """Whether it has anything to tell."""
        return any(item.reason is None for item in self.items)


@dataclass(slots=True)
class Notice:
    """A notification's row as far as joining it needs."""

    id: str
    active: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a draft: the notification its active items are in, and whether others were before."""

    notification: str
    was_active: bool
    activated: bool


Targets: TypeAlias = Callable[[Draft], Sequence[Target]]


def put(tx: Connection, drafts: Sequence[Draft], targets: Targets, *, now_us: int) -> dict[str, Put]:
    """Add what the drafts say to the notifications of their windows; by id of the draft."""
    merged = _merged(drafts)
    insert_new(tx, NOTIFICATION, [_row(draft, now_us=now_us) for draft in merged.values()])
    bases = _locked(tx, merged)
    late = [draft for draft in merged.values() if bases[draft.id].closed and draft.is_active]
    open_ones = {**bases, **_successors(tx, late, now_us=now_us)}
    done: dict[str, Put] = {}
    for draft in merged.values():
        notice = open_ones[draft.id]
        activated = draft.is_active and not notice.active
        done[draft.id] = Put(notice.id, notice.active, activated)
    _insert_items(tx, merged.values(), done)
    _activate(tx, [put.notification for put in done.values() if put.activated])
    _insert_deliveries(tx, merged.values(), done, targets, now_us=now_us)
    return done


def lock(tx: Connection, ids: Iterable[str]) -> dict[str, Notice]:
    """Those of the notifications that exist, locked until the transaction ends."""
    table = NOTIFICATION.c
    found: dict[str, Notice] = {}
    for some in chunks(set(ids)):
        query = (
            select(table.id, table.active, table.closed)
            .where(table.id.in_(some))
            .order_by(table.id)
            .with_for_update()
        )
        found.update(
            {id_: Notice(id_, bool(active), bool(closed)) for id_, active, closed in tx.execute(query)}
        )
    return found


def withdraw(
    tx: Connection, incidents: Sequence[str], notifications: Sequence[str], *, reason: str, now_us: int
) -> None:
    """Take what is told of these incidents out of these notifications, which are locked and not closed."""
    if not incidents or not notifications:
        return
    tx.execute(
        update(ITEM)
        .where(
            ITEM.c.notification.in_(notifications), ITEM.c.incident.in_(incidents), ITEM.c.reason.is_(None)
        )
        .values(reason=reason)
    )
    still = select(ITEM.c.notification).where(ITEM.c.notification.in_(notifications), ITEM.c.reason.is_(None))
    empty = sorted(set(notifications) - set(tx.scalars(still)))
    if not empty:
        return
    tx.execute(update(NOTIFICATION).where(NOTIFICATION.c.id.in_(empty)).values(active=0))
    table = DELIVERY.c
    tx.execute(
        update(DELIVERY)
        .where(table.notification.in_(empty), table.state == "pending")
        .values(state="suppressed", reason=reason, due_us=None, changed_us=now_us)
    )


def delivery_id(notification: str, channel: str, target: str) -> str:
    """The identity of a delivery, which is the receiver's way to know that it has had it already."""
    return derive_id("delivery", notification, channel, target)


def _merged(drafts: Sequence[Draft]) -> dict[str, Draft]:
    merged: dict[str, Draft] = {}
    for draft in drafts:
        there = merged.get(draft.id)
        if there is None:
            merged[draft.id] = draft
        else:
            there.items += draft.items
    return dict(sorted(merged.items()))


def _locked(tx: Connection, drafts: Iterable[str]) -> dict[str, Notice]:
    return lock(tx, drafts)


def _successors(tx: Connection, late: Sequence[Draft], *, now_us: int) -> dict[str, Notice]:
    """For each draft whose notification is closed, the one that follows: open already, or new."""
    if not late:
        return {}
    table = NOTIFICATION.c
    parents = [draft.id for draft in late]
    numbers: dict[str, int] = {}
    for some in chunks(parents):
        query = (
            select(table.parent, func.max(table.number)).where(table.parent.in_(some)).group_by(table.parent)
        )
        numbers.update((parent, number) for parent, number in tx.execute(query))
    last = {draft.id: _successor_id(draft.id, numbers.get(draft.id, 0)) for draft in late}
    there = lock(tx, [last[draft.id] for draft in late if draft.id in numbers])
    found: dict[str, Notice] = {}
    rows = []
    for draft in late:
        notice = there.get(last[draft.id])
        if notice is None or notice.closed:
            number = numbers.get(draft.id, 0) + 1
            notice = Notice(_successor_id(draft.id, number), active=False, closed=False)
            kind = draft.kind if draft.kind == "digest" else "update"
            rows.append(
                {**_row(draft, now_us=now_us), "id": notice.id, "kind": kind}
                | {"parent": draft.id, "number": number}
            )
        found[draft.id] = notice
    insert_new(tx, NOTIFICATION, rows)
    return found


def _successor_id(parent: str, number: int) -> str:
    return derive_id("update", parent, str(number))


def _insert_items(tx: Connection, drafts: Iterable[Draft], done: dict[str, Put]) -> None:
    rows = [
        {
            # What is not told stays with the window that it is of, also when that is closed.
            "notification": draft.id if item.reason is not None else done[draft.id].notification,
            "ref": item.ref,
            "tenant": draft.tenant,
            "incident": item.incident,
            "source": item.source,
            "event_id": item.event_id,
            "time_us": item.time_us,
            "reason": item.reason,
        }
        for draft in drafts
        for item in draft.items
    ]
    insert_new(tx, ITEM, rows)


def _activate(tx: Connection, ids: Sequence[str]) -> None:
    for some in chunks(ids):
        tx.execute(update(NOTIFICATION).where(NOTIFICATION.c.id.in_(some)).values(active=1))


def _insert_deliveries(
    tx: Connection, drafts: Iterable[Draft], done: dict[str, Put], targets: Targets, *, now_us: int
) -> None:
    """Deliveries of what is told now, and of what is not told, so that everybody can see why."""
    told: list[dict[str, Any]] = []
    untold: list[dict[str, Any]] = []
    for draft in drafts:
        put_there = done[draft.id]
        if put_there.was_active:
            continue
        due_us = draft.due_us if put_there.notification == draft.id else draft.late_us
        why = next((item.reason for item in draft.items), None)
        for target in targets(draft):
            reason = target.reason if put_there.activated else (target.reason or why)
            row = _delivery(put_there.notification, draft.tenant, target, reason, due_us, now_us=now_us)
            (told if put_there.activated else untold).append(row)
    insert_new(tx, DELIVERY, untold)
    if told:
        given = dialect_insert(tx, DELIVERY)
        new = given.excluded
        statement = given.on_conflict_do_update(
            index_elements=[DELIVERY.c.id],
            set_={name: new[name] for name in ("state", "reason", "due_us", "changed_us")},
            where=DELIVERY.c.state == "suppressed",
        )
        tx.execute(statement, told)


def _delivery(
    notification: str, tenant: str, target: Target, reason: str | None, due_us: int, *, now_us: int
) -> dict[str, Any]:
    is_told = reason is None
    return {
        "id": delivery_id(notification, target.channel, target.target),
        "notification": notification,
        "tenant": tenant,
        "channel": target.channel,
        "target": target.target,
        "state": "pending" if is_told else "suppressed",
        "reason": reason,
        "attempts": 0,
        "failures": 0,
        "due_us": due_us if is_told else None,
        "holder": None,
        "created_us": now_us,
        "changed_us": now_us,
    }


def _row(draft: Draft, *, now_us: int) -> dict[str, Any]:
    return {
        "id": draft.id,
        "tenant": draft.tenant,
        "kind": draft.kind,
        "rule": draft.rule,
        "rule_version": draft.rule_version,
        "title": draft.title,
        "severity": draft.severity,
        "category": draft.category,
        "template": draft.template,
        "group_key": draft.group,
        "window_us": draft.window_us,
        "parent": None,
        "number": 0,
        "active": 0,
        "closed": 0,
        "created_us": now_us,
        "subject": None,
        "text": None,
        "html": None,
    }
