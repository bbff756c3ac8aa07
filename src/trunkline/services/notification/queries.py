"""What can be asked of the service. Reads only, and always one tenant's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, RowMapping, select, tuple_

from trunkline.errors import InvalidInput
from trunkline.services.notification import silence_rows
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.decide import why_not
from trunkline.services.notification.facts import Facts, from_us
from trunkline.services.notification.preferences import EVERYBODY
from trunkline.services.notification.rows import chunks
from trunkline.services.notification.silences import Silence
from trunkline.services.notification.tables import (
    ATTEMPT,
    DECISION,
    DELIVERY,
    ENDPOINT,
    EVENT,
    INBOX,
    INCIDENT,
    NOTIFICATION,
    PREFERENCE,
)
from trunkline.services.notification.views import (
    AttemptView,
    ChannelView,
    DecisionView,
    DeliveryView,
    Explanation,
    InboxView,
    IncidentView,
    NotificationView,
    PreferenceView,
    SilenceView,
)

PAGE_MAX: Final = 1_000

OUTCOMES: Final = {
    "notified": "it opened a notification",
    "grouped": "it joined a notification of its group and window",
    "expired": "the event had expired",
    "too_old": "the event was too old to be told",
    "resolved": "the incident was over before anything was sent",
    "suspended": "the tenant is suspended",
    "silenced": "a silence covers it",
    "inhibited": "an incident that says more is open",
    "repeat": "the open incident had been told of",
    "resolves": "it closed the incident",
    "nothing_open": "it closes incidents of this kind, and none was open",
    "failed": "the rule could not be applied",
}
"""What an outcome of a decision means, where the decision itself does not say more."""

REASONS: Final = {
    **{name: OUTCOMES[name] for name in ("expired", "too_old", "resolved", "suspended", "silenced")},
    **{name: OUTCOMES[name] for name in ("inhibited", "repeat")},
    "preference": "the user, or the tenant, wants to hear nothing of this category here",
    "digest": "the user, or the tenant, gets this category here as a digest",
    "no_channel": "there is no channel of this name, or it is switched off",
    "endpoint_disabled": "the endpoint is disabled; `trunkline notifications channels enable` tries it again",
    "exhausted": "every attempt of the schedule failed",
    "gone": "the receiver answered that it wants nothing any more",
    "refused": "the receiver refused it for good",
    "render_failed": "the template could not be rendered",
    "discarded": "somebody discarded it",
}
"""What a delivery's reason means."""

STATES: Final = {
    "pending": "waits to be sent",
    "leased": "is being sent",
    "sent": "was delivered",
    "dead": "is not tried any more",
    "suppressed": "is not sent",
}

_N, _D, _I, _E = NOTIFICATION.c, DELIVERY.c, INCIDENT.c, EVENT.c


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
            first_at=_moment(row.first_us),
            last_at=_moment(row.fired_us),
            resolved_at=_moment(row.resolved_us),
            changed_at=from_us(row.changed_us),
        )
        for row in rows
    ]


def explain(
    tx: Connection, configuration: Configuration, event_id: str, *, tenant: str, source: str | None = None
) -> Explanation:
    """Why somebody heard of an event, or did not. Raises `InvalidInput` for one that never came."""
    query = select(EVENT).where(_E.tenant == tenant, _E.id == event_id)
    if source is not None:
        query = query.where(_E.source == source)
    rows = tx.execute(query.limit(2)).all()
    if not rows:
        raise InvalidInput(
            f"event {event_id}: none of {tenant} with this id has come; was it published, and is the service "
            "current? `trunkline lag` and `trunkline failures` tell"
        )
    if len(rows) > 1:
        raise InvalidInput(f"event {event_id}: several sources use this id; say which with --source")
    row = rows[0]
    decisions = _decisions(tx, row)
    facts = facts_of_row(row)
    rules = configuration.rules(tenant).by_name
    decided = {decision.rule for decision in decisions}
    reasons = {name: why_not(rule, facts) for name, rule in rules.items() if name not in decided}
    return Explanation(
        event=row.id,
        source=row.source,
        type=row.type,
        time=from_us(row.time_us),
        received_at=from_us(row.received_us),
        summary=row.summary,
        decisions=decisions,
        not_concerned={
            name: reason or "it would be today, but was not when the event came"
            for name, reason in sorted(reasons.items())
        },
    )


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


def inbox(
    tx: Connection,
    tenant: str,
    user: str | None,
    *,
    limit: int,
    before: int | None = None,
    unread: bool = False,
) -> list[InboxView]:
    """What is in a user's inbox, newest first, and what the whole tenant sees; None is everybody's."""
    query = select(INBOX).where(INBOX.c.tenant == tenant)
    if user is not None:
        query = query.where(INBOX.c.recipient.in_((user, EVERYBODY)))
    if before is not None:
        query = query.where(INBOX.c.seq < before)
    if unread:
        query = query.where(INBOX.c.read_us.is_(None))
    return [_inbox(row) for row in tx.execute(query.order_by(INBOX.c.seq.desc()).limit(limit))]


def inbox_since(tx: Connection, tenant: str, user: str, *, after: int, limit: int) -> list[InboxView]:
    """What has come into a user's inbox behind a place, oldest first."""
    query = (
        select(INBOX)
        .where(INBOX.c.tenant == tenant, INBOX.c.recipient.in_((user, EVERYBODY)), INBOX.c.seq > after)
        .order_by(INBOX.c.seq)
        .limit(limit)
    )
    return [_inbox(row) for row in tx.execute(query)]


def newest_in_inbox(tx: Connection) -> int:
    """The place of what came last into any inbox."""
    return tx.scalar(select(INBOX.c.seq).order_by(INBOX.c.seq.desc()).limit(1)) or 0


def silences(tx: Connection, tenant: str, *, since_us: int) -> list[SilenceView]:
    """The tenant's silences, those of everybody included, that had not ended at that time."""
    return [silence_view(silence) for silence in silence_rows.listed(tx, tenant, since_us=since_us)]


def silence_view(silence: Silence) -> SilenceView:
    """A silence for people."""
    return SilenceView(
        id=silence.id,
        everybody=silence.tenant == "system",
        matches=msgspec.to_builtins(silence.matches),
        starts_at=from_us(silence.starts_us),
        ends_at=from_us(silence.ends_us),
        actor=silence.actor,
        comment=silence.comment,
    )


def preferences(tx: Connection, tenant: str, user: str | None = None) -> list[PreferenceView]:
    """What users of a tenant chose."""
    at = PREFERENCE.c
    query = select(at.recipient, at.category, at.channel, at.mode).where(at.tenant == tenant)
    if user is not None:
        query = query.where(at.recipient == user)
    rows = tx.execute(query.order_by(at.recipient, at.category, at.channel).limit(PAGE_MAX))
    return [PreferenceView(*row) for row in rows]


def channels(tx: Connection, configuration: Configuration, tenant: str) -> list[ChannelView]:
    """The channels that a tenant has, and how they do."""
    at = ENDPOINT.c
    found = configuration.channels(tenant)
    rows = tx.execute(select(ENDPOINT).where(at.channel.in_(list(found))))
    known = {(row.tenant, row.channel): row for row in rows}
    views = []
    for name, one in found.items():
        row = known.get((one.owner, name))
        views.append(
            ChannelView(
                name=name,
                kind=str(type(one.channel).__struct_config__.tag),
                everybody=one.owner == "system",
                failing_since=_moment(row.failing_us) if row else None,
                disabled_at=_moment(row.disabled_us) if row else None,
                reason=row.reason if row else None,
            )
        )
    return views


def facts_of_row(row: Row[Any] | RowMapping) -> Facts:
    """The facts of an event that is in the history."""
    of = row._mapping if isinstance(row, Row) else row
    return Facts(
        tenant=of["tenant"],
        source=of["source"],
        id=of["id"],
        type=of["type"],
        time_us=of["time_us"],
        expires_us=of["expires_us"],
        correlation_id=of["correlation_id"],
        data=msgspec.json.decode(of["data"]),
        summary=of["summary"],
    )


def _decisions(tx: Connection, event: Row[Any]) -> list[DecisionView]:
    at = DECISION.c
    query = select(DECISION).where(
        at.tenant == event.tenant, at.source == event.source, at.event_id == event.id
    )
    return [
        DecisionView(
            rule=row.rule,
            rule_version=row.rule_version,
            outcome=row.outcome,
            why=row.detail or OUTCOMES[row.outcome],
            incident=row.incident,
            notification=None
            if row.notification is None
            else notification(tx, event.tenant, row.notification),
        )
        for row in tx.execute(query.order_by(at.rule))
    ]


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
        due_at=_moment(row.due_us),
        changed_at=from_us(row.changed_us),
        trail=trail,
    )


def _inbox(row: Row[Any]) -> InboxView:
    return InboxView(
        seq=row.seq,
        id=row.delivery,
        notification=row.notification,
        recipient=row.recipient,
        kind=row.kind,
        severity=row.severity,
        category=row.category,
        subject=row.subject,
        text=row.text,
        created_at=from_us(row.created_us),
        read_at=_moment(row.read_us),
    )


def _moment(time_us: int | None) -> datetime | None:
    return None if time_us is None else from_us(time_us)
