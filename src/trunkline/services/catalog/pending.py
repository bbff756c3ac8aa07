"""What events speak of and nobody has said yet; and what of events could not be kept."""

from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, or_, select, tuple_

from trunkline.services.catalog.moments import NEVER, Int64, from_us
from trunkline.services.catalog.tables import ASSET, FACET, REJECTED
from trunkline.services.catalog.views import Pending, RejectedView
from trunkline.services.kit.api.pages import Page, decode_cursor, page_of

KINDS: Final = ("model", "model_version")
"""Assets that an event defines. Nobody defines a table: it is there because somebody speaks of it."""

REFERRED_MAX: Final = 20
"""Facets that are listed for one pending asset."""

_REFERRING: Final = FACET.alias("referring")
_HOLDER: Final = ASSET.alias("holder")
_IS_REFERRED_TO: Final = exists().where(
    _REFERRING.c.tenant == ASSET.c.tenant,
    _REFERRING.c.ref == ASSET.c.urn,
    _REFERRING.c.live,
    _HOLDER.c.tenant == _REFERRING.c.tenant,
    _HOLDER.c.urn == _REFERRING.c.urn,
    _HOLDER.c.deleted_us < _REFERRING.c.time_us,
)

UNKNOWN: Final[tuple[ColumnElement[bool], ...]] = (
    ASSET.c.kind.in_(KINDS),
    ASSET.c.defined_us <= ASSET.c.deleted_us,
    or_(ASSET.c.deleted_us == NEVER, ASSET.c.newest_us > ASSET.c.deleted_us, _IS_REFERRED_TO),
)
"""The condition that an asset is spoken of and not known: not registered yet, or deleted and still used."""


def pending(tx: Connection, tenant: str, *, limit: int = 100, after: str | None = None) -> Page[Pending]:
    """The models and versions that are not known, by URN. What defines one takes it off the list."""
    found = select(ASSET.c.urn, ASSET.c.kind, ASSET.c.first_us).where(ASSET.c.tenant == tenant, *UNKNOWN)
    if after is not None:
        found = found.where(ASSET.c.urn > decode_cursor(after, tuple[str])[0])
    rows = tx.execute(found.order_by(ASSET.c.urn).limit(limit + 1)).all()
    items = [
        Pending(
            urn=row.urn,
            kind=row.kind,
            first_seen=from_us(row.first_us),
            referred_by=_referring(tx, tenant, row.urn),
        )
        for row in rows
    ]
    return page_of(items, limit, lambda item: (item.urn,))


def rejected(
    tx: Connection, tenant: str, *, limit: int = 100, after: str | None = None
) -> Page[RejectedView]:
    """The parts of events that were left out, newest first."""
    table = REJECTED.c
    place = (table.time_us, table.identity)
    found = select(REJECTED).where(table.tenant == tenant)
    if after is not None:
        found = found.where(tuple_(*place) < tuple_(*decode_cursor(after, tuple[Int64, str])))
    rows = tx.execute(found.order_by(*(column.desc() for column in place)).limit(limit + 1)).all()
    page = page_of(rows, limit, lambda row: (row.time_us, row.identity))
    views = [
        RejectedView(
            urn=row.urn,
            facet=row.name,
            reason=row.reason,
            time=from_us(row.time_us),
            event_id=row.event_id,
            source=row.source,
        )
        for row in page.items
    ]
    return Page(views, page.next)


def _referring(tx: Connection, tenant: str, urn: str) -> tuple[str, ...]:
    """Facets of others that point to it, and its own: `urn:model:churn alias:champion`."""
    table = FACET.c
    found = (
        select(table.urn, table.name)
        .where(table.tenant == tenant, or_(table.ref == urn, table.urn == urn), table.live)
        .order_by(table.urn, table.name)
        .limit(REFERRED_MAX)
    )
    return tuple(f"{row.urn} {row.name}" for row in tx.execute(found))
