"""Finds assets by words and by what is known of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, not_, or_, select

from trunkline.catalogue.events.model import Stage
from trunkline.errors import InvalidInput
from trunkline.services.catalog import text_index, urns
from trunkline.services.catalog.known import state_of
from trunkline.services.catalog.moments import NEVER, from_us_if
from trunkline.services.catalog.tables import ASSET, FACET
from trunkline.services.catalog.views import Found
from trunkline.services.kit.api.pages import Page, decode_cursor, page_of

_A: Final = ASSET.c
_SHOWN_FACETS: Final = ("stage", "classification", "quarantine")
IS_DELETED: Final = and_(_A.deleted_us != NEVER, _A.newest_us <= _A.deleted_us)

STAGES: Final[tuple[str, ...]] = get_args(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What to look for; everything given must hold.

    `text`: all of its words, `*` at a word's end for any ending. `tag` is `KEY` or `KEY=VALUE`.
    Deleted assets are left out unless `deleted`.
    """

    text: str | None = None
    kind: str | None = None
    prefix: str | None = None
    stage: str | None = None
    tag: str | None = None
    classification: str | None = None
    owner: str | None = None
    endpoint: str | None = None
    quarantined: bool | None = None
    deleted: bool = False


def search(
    tx: Connection, tenant: str, wanted: Search, *, limit: int = 100, after: str | None = None
) -> Page[Found]:
    """One page of what matches, by URN; an asset that arrives meanwhile moves no other to another page.

    Raises `InvalidInput` for a text without a word, for a kind or stage that there is not, and for a cursor
    that is not one.
    """
    _require_kind(tx, tenant, wanted.kind)
    _require_stage(wanted.stage)
    found = select(ASSET).where(_A.tenant == tenant, *_conditions(tx, wanted))
    if after is not None:
        found = found.where(_A.urn > decode_cursor(after, tuple[str])[0])
    items = list(_found(tx, tenant, found.order_by(_A.urn).limit(limit + 1)))
    return page_of(items, limit, lambda item: (item.urn,))


def _require_kind(tx: Connection, tenant: str, kind: str | None) -> None:
    """Events may be about assets of any kind: refused is one of which the tenant has none."""
    if kind is None or kind in urns.KINDS:
        return
    mine = select(_A.kind).where(_A.tenant == tenant)
    if tx.execute(mine.where(_A.kind == kind).limit(1)).first() is None:
        others = set(tx.execute(mine.distinct()).scalars()) - set(urns.KINDS)
        known = ", ".join((*urns.KINDS, *sorted(others)))
        raise InvalidInput(f"kind {kind[:80]!r}: there is no asset of it; use one of {known}")


def _require_stage(stage: str | None) -> None:
    if stage is not None and stage not in STAGES:
        raise InvalidInput(f"{stage[:80]!r} is no stage; use {', '.join(STAGES)}")


def _conditions(tx: Connection, wanted: Search) -> Iterator[ColumnElement[bool]]:
    if wanted.text is not None:
        yield text_index.matches(tx, wanted.text)
    if wanted.kind is not None:
        yield _A.kind == wanted.kind
    if wanted.prefix is not None:
        # A range, for LIKE uses no index where the collation or the case does not suit it.
        yield and_(_A.urn >= wanted.prefix, _A.urn < wanted.prefix + "\U0010ffff")
    for name, scalar in (
        ("stage", wanted.stage),
        ("classification", wanted.classification),
        ("model", wanted.owner),
    ):
        if scalar is not None:
            yield _has(name, scalar)
    if wanted.tag is not None:
        key, given, value = wanted.tag.partition("=")
        yield _has(f"tag:{key}", value if given else None)
    if wanted.endpoint is not None:
        yield _has(f"deployment:{wanted.endpoint}", None)
    if wanted.quarantined is not None:
        is_quarantined = _has("quarantine", None)
        yield is_quarantined if wanted.quarantined else not_(is_quarantined)
    if not wanted.deleted:
        yield or_(_A.deleted_us == NEVER, _A.newest_us > _A.deleted_us)


def _has(name: str, scalar: str | None) -> ColumnElement[bool]:
    """The asset has this facet, with this value where one is given."""
    facet = FACET.c
    holds = exists().where(
        facet.tenant == _A.tenant,
        facet.urn == _A.urn,
        facet.name == name,
        facet.live,
        facet.time_us > _A.deleted_us,
    )
    return holds if scalar is None else holds.where(facet.scalar == scalar)


def _found(tx: Connection, tenant: str, query: Select[tuple[object, ...]]) -> Iterator[Found]:
    rows = tx.execute(query).mappings().all()
    shown = _shown(tx, tenant, [row["urn"] for row in rows])
    for row in rows:
        facets = {
            name: scalar
            for name, (scalar, time_us) in shown.get(row["urn"], {}).items()
            if time_us > row["deleted_us"]
        }
        yield Found(
            urn=row["urn"],
            kind=row["kind"],
            name=urns.name_of(row["urn"]),
            state=state_of(
                newest_us=row["newest_us"], defined_us=row["defined_us"], deleted_us=row["deleted_us"]
            ),
            changed_at=from_us_if(row["newest_us"]),
            stage=facets.get("stage"),
            classification=facets.get("classification"),
            quarantine=facets.get("quarantine"),
        )


def _shown(tx: Connection, tenant: str, wanted: Sequence[str]) -> dict[str, dict[str, tuple[str, int]]]:
    """Those facets of the assets that a list shows: value and time, by name."""
    facet = FACET.c
    found = select(facet.urn, facet.name, facet.scalar, facet.time_us).where(
        facet.tenant == tenant, facet.urn.in_(wanted), facet.name.in_(_SHOWN_FACETS), facet.live
    )
    facets: dict[str, dict[str, tuple[str, int]]] = {}
    for row in tx.execute(found):
        facets.setdefault(row.urn, {})[row.name] = (row.scalar, row.time_us)
    return facets
