"""What is known of one asset, now and at any time before."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trunkline.errors import NotFound
from trunkline.services.catalog import urns
from trunkline.services.catalog.facts import DEFINING, DELETED
from trunkline.services.catalog.moments import NEVER, from_us, from_us_if, to_us
from trunkline.services.catalog.tables import ASSET, CHANGE, FACET, ORDER_COLUMNS
from trunkline.services.catalog.views import AssetView, Badge, FacetView, State

Version: TypeAlias = RowMapping
"""A row of `catalog_facet`, or the like of it from `catalog_change`."""

_COLUMNS: Final = ("urn", "name", *ORDER_COLUMNS, "live", "value", "ref")
_NOW: Final = tuple(FACET.c[name] for name in _COLUMNS)
_EVER: Final = tuple(CHANGE.c[name] for name in _COLUMNS)


def state_of(*, newest_us: int, defined_us: int, deleted_us: int) -> State:
    """What the times of an asset come to."""
    if deleted_us != NEVER and newest_us <= deleted_us:
        return "deleted"
    return "defined" if defined_us > deleted_us else "mentioned"


def asset(tx: Connection, tenant: str, urn: str, *, as_of: datetime | None = None) -> AssetView | None:
    """The asset with its facets and badges, at event time `as_of`; None if none was known (then)."""
    urn = urns.normal(urn)
    row = tx.execute(select(ASSET).where(ASSET.c.tenant == tenant, ASSET.c.urn == urn)).mappings().first()
    if row is None or (as_of is not None and row["first_us"] > to_us(as_of)):
        return None
    versions = versions_of(tx, tenant, [urn], as_of=as_of)
    own = [version for version in versions if version["name"] != DELETED]
    deleted_us = latest_us(version for version in versions if version["name"] == DELETED)
    newest_us = latest_us(own)
    shown = [version for version in own if version["live"] and version["time_us"] > deleted_us]
    return AssetView(
        urn=urn,
        kind=row["kind"],
        name=urns.name_of(urn),
        state=state_of(
            newest_us=newest_us,
            defined_us=latest_us(version for version in own if version["name"] in DEFINING),
            deleted_us=deleted_us,
        ),
        first_seen=from_us(row["first_us"]),
        changed_at=from_us_if(newest_us),
        deleted_at=from_us_if(deleted_us),
        as_of=as_of,
        facets=tuple(facet_view(version) for version in sorted(shown, key=lambda one: str(one["name"]))),
        badges=(*_quarantine(shown), *_policies(tx, tenant, urn, as_of=as_of)),
    )


def require_known(tx: Connection, tenant: str, urn: str) -> None:
    """Raise `NotFound` where no event has spoken of the asset, by its normal URN."""
    if tx.execute(select(ASSET.c.urn).where(ASSET.c.tenant == tenant, ASSET.c.urn == urn)).first() is None:
        raise NotFound(f"{urn}: no such asset is known; `trunkline assets search` finds assets")


def versions_of(
    tx: Connection, tenant: str, wanted: Sequence[str], *, as_of: datetime | None
) -> list[Version]:
    """The current version of each facet of these assets; at a time, the greatest of those not after it."""
    if as_of is None:
        now = select(*_NOW).where(FACET.c.tenant == tenant, FACET.c.urn.in_(wanted))
        return list(tx.execute(now).mappings())
    ever = select(*_EVER).where(
        CHANGE.c.tenant == tenant, CHANGE.c.urn.in_(wanted), CHANGE.c.time_us <= to_us(as_of)
    )
    best: dict[tuple[str, str], Version] = {}
    for row in tx.execute(ever).mappings():
        key = (row["urn"], row["name"])
        if key not in best or _order(best[key]) < _order(row):
            best[key] = row
    return list(best.values())


def latest_us(versions: Iterable[Version]) -> int:
    """The time of the newest of these."""
    return max((version["time_us"] for version in versions), default=NEVER)


def facet_view(version: Version) -> FacetView:
    """The facet as it is shown."""
    return FacetView(
        name=version["name"],
        value=msgspec.json.decode(version["value"]),
        time=from_us(version["time_us"]),
        event_id=version["event_id"],
        source=version["source"],
    )


def _order(version: Version) -> tuple[Any, ...]:
    return tuple(version[name] for name in ORDER_COLUMNS)


def _quarantine(shown: Iterable[Version]) -> list[Badge]:
    facets = [facet_view(version) for version in shown if version["name"] == "quarantine"]
    return [
        Badge(
            kind="quarantine",
            name=facet.value["decision_id"],
            mode=facet.value["mode"],
            in_force=True,
            since=facet.time,
            detail=facet.value,
        )
        for facet in facets
    ]


def _policies(tx: Connection, tenant: str, urn: str, *, as_of: datetime | None) -> list[Badge]:
    """The policies whose newest version is about this asset and is not withdrawn.

    The greatest version of a policy counts, whenever its event came; a withdrawal is of all versions up to
    its own.
    """
    table = FACET if as_of is None else CHANGE
    about = select(table.c.urn).where(table.c.tenant == tenant, table.c.ref == urn, table.c.name == "policy")
    policies = sorted(set(tx.execute(about).scalars()))
    if not policies:
        return []
    facets: dict[tuple[str, str], Version] = {
        (version["urn"], version["name"]): version
        for version in versions_of(tx, tenant, [*policies, urns.BUNDLE], as_of=as_of)
    }
    bundle = facets.get((urns.BUNDLE, "bundle"))
    members = {} if bundle is None else msgspec.json.decode(bundle["value"])["members"]
    badges: list[Badge] = []
    for policy in policies:
        published, revoked = facets.get((policy, "policy")), facets.get((policy, "revoked"))
        if published is None or published["ref"] != urn:
            continue
        if revoked is None or revoked["rank"] < published["rank"]:
            badges.append(_policy(facet_view(published), members))
    return badges


def _policy(published: FacetView, members: Mapping[str, int]) -> Badge:
    value = published.value
    return Badge(
        kind="policy",
        name=value["policy_id"],
        mode=value["mode"],
        in_force=members.get(value["policy_id"]) == value["version"],
        since=published.time,
        detail=value,
    )
