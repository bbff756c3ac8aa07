"""What changed, when, and how two states differ."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, RowMapping, select, tuple_

from trunkline.errors import InvalidInput
from trunkline.services.catalog import urns
from trunkline.services.catalog.known import asset, require_known
from trunkline.services.catalog.moments import Int64, from_us, to_us
from trunkline.services.catalog.tables import CHANGE
from trunkline.services.catalog.views import AssetView, ChangeView, Difference, Feed
from trunkline.services.kit.api.pages import Page, decode_cursor, encode_cursor, page_of

_C: Final = CHANGE.c
_SHOWN: Final = (_C.seq, _C.urn, _C.name, _C.value, _C.live, _C.time_us, _C.event_id, _C.source)


def history(
    tx: Connection,
    tenant: str,
    urn: str,
    *,
    facet: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> Page[ChangeView]:
    """Every version of an asset's facets, newest event first, also those that arrived too late to count.

    Raises `NotFound` for an asset that nobody knows.
    """
    urn = urns.normal(urn)
    require_known(tx, tenant, urn)
    found = select(*_SHOWN).where(_C.tenant == tenant, _C.urn == urn)
    if facet is not None:
        found = found.where(_C.name == facet)
    if after is not None:
        found = found.where(tuple_(_C.time_us, _C.seq) < tuple_(*decode_cursor(after, tuple[Int64, Int64])))
    found = found.order_by(_C.time_us.desc(), _C.seq.desc()).limit(limit + 1)
    views = [_view(row) for row in tx.execute(found).mappings()]
    return page_of(views, limit, lambda view: (to_us(view.time), view.seq))


def feed(tx: Connection, tenant: str, *, limit: int = 100, after: str | None = None) -> Feed:
    """What arrived behind the cursor, in the order of arrival. Whoever follows the cursors misses nothing.

    Order of arrival is of this store: after a rebuild from the topics it is another one, and a follower
    begins anew.
    """
    seen = 0 if after is None else decode_cursor(after, tuple[Int64])[0]
    found = select(*_SHOWN).where(_C.tenant == tenant, _C.seq > seen).order_by(_C.seq).limit(limit)
    views = tuple(_view(row) for row in tx.execute(found).mappings())
    return Feed(items=views, cursor=encode_cursor([views[-1].seq if views else seen]))


def diff(
    tx: Connection,
    tenant: str,
    left: str,
    right: str,
    *,
    left_at: datetime | None = None,
    right_at: datetime | None = None,
) -> list[Difference]:
    """The facets in which two assets differ, or one asset at two times.

    Raises `InvalidInput` for an asset that was not known.
    """
    sides = [
        {facet.name: facet.value for facet in _side(tx, tenant, urn, at).facets}
        for urn, at in ((left, left_at), (right, right_at))
    ]
    names = sorted(set(sides[0]) | set(sides[1]))
    return [
        Difference(facet=name, left=sides[0].get(name), right=sides[1].get(name))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _side(tx: Connection, tenant: str, urn: str, at: datetime | None) -> AssetView:
    found = asset(tx, tenant, urn, as_of=at)
    if found is None:
        when = "" if at is None else f" at {at.isoformat()}"
        raise InvalidInput(f"{urn}: no such asset is known{when}; `trunkline assets search` finds assets")
    return found


def _view(row: RowMapping) -> ChangeView:
    return ChangeView(
        seq=row["seq"],
        urn=row["urn"],
        facet=row["name"],
        value=msgspec.json.decode(row["value"]),
        removed=not row["live"],
        time=from_us(row["time_us"]),
        event_id=row["event_id"],
        source=row["source"],
    )
