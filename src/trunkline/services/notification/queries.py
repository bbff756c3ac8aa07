"""What can be asked of the service. Reads only, and always one tenant's."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, tuple_

from trunkline.services.notification.facts import from_us, moment
from trunkline.services.notification.meanings import REASONS, STATES
from trunkline.services.notification.rows import chunks
from trunkline.services.notification.tables import ATTEMPT, DELIVERY, INCIDENT, NOTIFICATION
from trunkline.services.notification.views import (
    AttemptView,
    DeliveryView,
    IncidentView,
    NotificationView,
)

_N, _D, _I = NOTIFICATION.c, DELIVERY.c, INCIDENT.c


def history(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    rule: str | None = None,
    told: bool | None = None,
) -> list[NotificationView]:
    """Notifications, newest first, behind the place `after`."""
    query = select(NOTIFICATION).where(_N.tenant == tenant)
    if after is not None:
        query = query.where(tuple_(_N.created_us, _N.id) < tuple_(*after))
    if rule is not None:
        query = query.where(_N.rule == rule)
    if told is not None:
        query = query.where(_N.active == int(told))
    rows = tx.execute(query.order_by(_N.created_us.desc(), _N.id.desc()).limit(limit)).all()
    of = _deliveries_of(tx, [row.id for row in rows])
    return [_notification(row, of.get(row.id, [])) for row in rows]


def notification(tx: Connection, tenant: str, id_: str) -> NotificationView | None:
    """One notification with its deliveries and their attempts."""
    row = tx.execute(select(NOTIFICATION).where(_N.tenant == tenant, _N.id == id_)).first()
    return None if row is None else _notification(row, _deliveries_of(tx, [id_], trails=True).get(id_, []))


def incidents(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    state: str | None = None,
) -> list[IncidentView]:
    """Incidents that have fired, the last changed first."""
    query = select(INCIDENT).where(_I.tenant == tenant, _I.count > 0)
    if after is not None:
        query = query.where(tuple_(_I.changed_us, _I.id) < tuple_(*after))
    if state is not None:
        query = query.where(_I.state == state)
    rows = tx.execute(query.order_by(_I.changed_us.desc(), _I.id.desc()).limit(limit))
    return [
        IncidentView(
            id=row.id,
            rule=row.rule,
            key=row.key,
            state=row.state,
            severity=row.severity,
            count=row._mapping["count"],
            first_at=moment(row.first_us),
            last_at=moment(row.fired_us),
            resolved_at=moment(row.resolved_us),
            changed_at=from_us(row.changed_us),
        )
        for row in rows
    ]


def deliveries(
    tx: Connection,
    tenant: str,
    *,
    limit: int,
    after: tuple[int, str] | None = None,
    state: str | None = None,
    channel: str | None = None,
) -> list[DeliveryView]:
    """Deliveries, the last changed first."""
    query = select(DELIVERY).where(_D.tenant == tenant)
    if after is not None:
        query = query.where(tuple_(_D.changed_us, _D.id) < tuple_(*after))
    if state is not None:
        query = query.where(_D.state == state)
    if channel is not None:
        query = query.where(_D.channel == channel)
    rows = tx.execute(query.order_by(_D.changed_us.desc(), _D.id.desc()).limit(limit))
    return [_delivery(row) for row in rows]


def delivery(tx: Connection, tenant: str, id_: str) -> DeliveryView | None:
    """One delivery with its attempts."""
    row = tx.execute(select(DELIVERY).where(_D.tenant == tenant, _D.id == id_)).first()
    return None if row is None else _delivery(row, _trails(tx, [id_]).get(id_, ()))


def _deliveries_of(
    tx: Connection, notifications: Sequence[str], *, trails: bool = False
) -> dict[str, list[DeliveryView]]:
    found: dict[str, list[DeliveryView]] = {}
    for some in chunks(notifications):
        query = select(DELIVERY).where(_D.notification.in_(some)).order_by(_D.channel, _D.target)
        rows = tx.execute(query).all()
        of = _trails(tx, [row.id for row in rows]) if trails else {}
        for row in rows:
            found.setdefault(row.notification, []).append(_delivery(row, of.get(row.id, ())))
    return found


def _trails(tx: Connection, deliveries_: Sequence[str]) -> dict[str, list[AttemptView]]:
    at = ATTEMPT.c
    found: dict[str, list[AttemptView]] = {}
    for some in chunks(deliveries_):
        query = select(ATTEMPT).where(at.delivery.in_(some)).order_by(at.delivery, at.number)
        for row in tx.execute(query):
            view = AttemptView(
                row.number, from_us(row.at_us), row.took_us / 1000, row.outcome, row.status, row.detail
            )
            found.setdefault(row.delivery, []).append(view)
    return found


def _notification(row: Row[Any], of: Sequence[DeliveryView]) -> NotificationView:
    return NotificationView(
        id=row.id,
        kind=row.kind,
        rule=row.rule,
        rule_version=row.rule_version,
        title=row.title,
        severity=row.severity,
        category=row.category,
        group=row.group_key,
        created_at=from_us(row.created_us),
        told=bool(row.active),
        subject=row.subject,
        text=row.text,
        deliveries=of,
    )


def _delivery(row: Row[Any], trail: Sequence[AttemptView] = ()) -> DeliveryView:
    why = STATES[row.state]
    if row.reason is not None:
        why = f"{why}: {REASONS.get(row.reason, row.reason)}"
    return DeliveryView(
        id=row.id,
        notification=row.notification,
        channel=row.channel,
        target=row.target,
        state=row.state,
        reason=row.reason,
        why=why,
        attempts=row.attempts,
        due_at=moment(row.due_us),
        changed_at=from_us(row.changed_us),
        trail=trail,
    )
