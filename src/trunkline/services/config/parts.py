"""Snapshots that come in parts: kept until all are there, and then taken in whole or not at all."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select

from trunkline.catalogue.events import Event
from trunkline.catalogue.events.config import ConfigSnapshotPublished
from trunkline.catalogue.names import TenantId
from trunkline.client.broadcast.entries import Change, change_listed
from trunkline.client.broadcast.state import OPEN_SNAPSHOTS_MAX, check_part, check_whole
from trunkline.codec import Envelope
from trunkline.services.config import book
from trunkline.services.config.tables import CONFIG_PART
from trunkline.services.kit.ending.ends import all_ended

_T: Final = CONFIG_PART.c


def take(tx: Connection, envelope: Envelope[Event], part: ConfigSnapshotPublished) -> None:
    """Take in a part; with the last one the snapshot's entries. Raises `Rejected`."""
    check_part(part)
    changes = _changes(part.values, envelope.tenantid)
    if part.parts > 1:
        _keep(tx, envelope.tenantid, part)
        found = tx.execute(select(_T.listed).where(_is_of(envelope.tenantid, part))).scalars().all()
        if len(found) < part.parts:
            return
        listed = [one for kept in found for one in msgspec.json.decode(kept, type=list[dict[str, Any]])]
        changes = _changes(listed, envelope.tenantid)
        tx.execute(delete(CONFIG_PART).where(_is_of(envelope.tenantid, part)))
    check_whole(part, changes)
    book.merge(tx, ((change, envelope.time, None) for change in without_ended(tx, changes)))


def without_ended(tx: Connection, changes: Iterable[Change]) -> list[Change]:
    """Without what is set for tenants that have ended: a snapshot may be older than their end."""
    ended = all_ended(tx)
    return [
        (name, entry)
        for name, entry in changes
        if not (name.level == "tenant" and name.scope in ended and entry.in_force)
    ]


def _changes(listed: Any, tenant: TenantId) -> list[Change]:
    return [change_listed(item, tenant) for item in listed]


def _keep(tx: Connection, tenant: TenantId, part: ConfigSnapshotPublished) -> None:
    same = and_(_is_of(tenant, part), _T.part == part.part)
    tx.execute(delete(CONFIG_PART).where(same))
    row = {
        "tenant": tenant,
        "snapshot_id": part.snapshot_id,
        "version": part.version,
        "part": part.part,
        "listed": msgspec.json.encode(part.values).decode(),
    }
    tx.execute(insert(CONFIG_PART), [row])
    opened = (
        select(_T.snapshot_id, _T.version)
        .where(_T.tenant == tenant)
        .group_by(_T.snapshot_id, _T.version)
        .order_by(func.max(_T.version).desc(), _T.snapshot_id)
    )
    # A publisher that died half-way leaves one that never gets whole.
    for snapshot_id, version in tx.execute(opened).all()[OPEN_SNAPSHOTS_MAX:]:
        old = and_(_T.tenant == tenant, _T.snapshot_id == snapshot_id, _T.version == version)
        tx.execute(delete(CONFIG_PART).where(old))


def _is_of(tenant: TenantId, part: ConfigSnapshotPublished) -> ColumnElement[bool]:
    return and_(_T.tenant == tenant, _T.snapshot_id == part.snapshot_id, _T.version == part.version)
