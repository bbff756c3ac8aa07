"""What concerns users: inboxes, preferences, the silences and channels of their tenant. Reads only."""

from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, select

from trunkline.catalogue.names import SYSTEM_TENANT
from trunkline.services.notification import silence_rows
from trunkline.services.notification.configuration import Configuration
from trunkline.services.notification.facts import from_us, moment
from trunkline.services.notification.preferences import EVERYBODY
from trunkline.services.notification.silences import Silence
from trunkline.services.notification.tables import ENDPOINT, INBOX, PREFERENCE
from trunkline.services.notification.views import ChannelView, InboxView, PreferenceView, SilenceView

PREFERENCES_MAX: Final = 1_000
"""Of one answer."""


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
        everybody=silence.tenant == SYSTEM_TENANT,
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
    rows = tx.execute(query.order_by(at.recipient, at.category, at.channel).limit(PREFERENCES_MAX))
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
                everybody=one.owner == SYSTEM_TENANT,
                failing_since=moment(row.failing_us) if row else None,
                disabled_at=moment(row.disabled_us) if row else None,
                reason=row.reason if row else None,
            )
        )
    return views


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
        read_at=moment(row.read_us),
    )
