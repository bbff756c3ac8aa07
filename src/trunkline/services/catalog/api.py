"""The catalog's HTTP API: search, assets, history, lineage, models, the change feed. Reads only."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from trunkline.errors import InvalidInput
from trunkline.services.catalog import changes, known, lineage, models, pending, views
from trunkline.services.catalog.search import Search, search
from trunkline.services.kit.api import Caller, Page, PageSize, Problem, Reading, caller, reading

PAGE: Final = 100

Who = Annotated[Caller, caller]
At = Annotated[Reading, reading]
Cursor = Annotated[str | None, Query(description="The cursor of the page before.")]
Moment = Annotated[datetime | None, Query(description="An event time, RFC 3339 with its offset.")]
Depth = Annotated[int, Query(ge=1, le=lineage.DEPTH_MAX, description="Steps.")]
Urn = Annotated[str, Query(description="Such as urn:table:sales.orders")]


def routes() -> APIRouter:
    """All routes, to be put under /v1. The tenant is the token's."""
    router = APIRouter(tags=["catalog"])
    _assets(router)
    _models(router)
    _changes(router)
    return router


def _assets(router: APIRouter) -> None:
    @router.get("/assets")
    def search_assets(
        *,
        who: Who,
        at: At,
        text: str | None = None,
        kind: str | None = None,
        prefix: str | None = None,
        stage: str | None = None,
        tag: Annotated[str | None, Query(description="KEY or KEY=VALUE")] = None,
        classification: str | None = None,
        owner: str | None = None,
        endpoint: str | None = None,
        quarantined: bool | None = None,
        deleted: bool = False,
        limit: PageSize = PAGE,
        cursor: Cursor = None,
    ) -> Page[views.Found]:
        """Assets by words and by what is known of them, by URN."""
        wanted = Search(
            text=text,
            kind=kind,
            prefix=prefix,
            stage=stage,
            tag=tag,
            classification=classification,
            owner=owner,
            endpoint=endpoint,
            quarantined=quarantined,
            deleted=deleted,
        )
        return search(at.tx, who.tenant, wanted, limit=limit, after=cursor)

    @router.get("/assets/{urn:path}/history")
    def history_of_asset(
        *, who: Who, at: At, urn: str, facet: str | None = None, limit: PageSize = PAGE, cursor: Cursor = None
    ) -> Page[views.ChangeView]:
        """Every version of its facets, newest event first."""
        return changes.history(at.tx, who.tenant, urn, facet=facet, limit=limit, after=cursor)

    @router.get("/assets/{urn:path}/lineage")
    def lineage_of_asset(
        who: Who, at: At, urn: str, direction: views.Direction = "down", depth: Depth = lineage.DEPTH_DEFAULT
    ) -> views.Lineage:
        """What it depends on (up), or what depends on it (down)."""
        return lineage.lineage(at.tx, who.tenant, urn, direction=direction, depth=depth)

    @router.get("/assets/{urn:path}/models")
    def models_depending_on_asset(
        who: Who, at: At, urn: str, depth: Depth = lineage.DEPTH_DEFAULT
    ) -> list[views.VersionView]:
        """The versions of models that depend on it."""
        return models.depending_on(at.tx, who.tenant, urn, depth=depth)

    @router.get("/assets/{urn:path}")
    def asset(who: Who, at: At, urn: str, as_of: Moment = None) -> views.AssetView:
        """The asset with its facets and badges, now or at an event time."""
        found = known.asset(at.tx, who.tenant, urn, as_of=_aware(as_of))
        if found is None:
            raise Problem(404, f"{urn}: no such asset is known")
        return found


def _models(router: APIRouter) -> None:
    @router.get("/models/{model:path}/versions")
    def versions_of_model(who: Who, at: At, model: str) -> list[views.VersionView]:
        """The versions that are known and not deleted, newest first."""
        return models.versions(at.tx, who.tenant, model)

    @router.get("/models/{model:path}/aliases")
    def aliases_of_model(who: Who, at: At, model: str) -> list[views.AliasView]:
        """Its aliases, also those that point to a version which is not known yet."""
        return models.aliases(at.tx, who.tenant, model)

    @router.get("/models/{reference:path}")
    def where_alias_points(who: Who, at: At, reference: str) -> views.AliasView:
        """`/models/churn@champion`: the version that an alias points to."""
        try:
            return models.resolve(at.tx, who.tenant, reference)
        except InvalidInput as error:
            raise Problem(404, str(error)) from error


def _changes(router: APIRouter) -> None:
    @router.get("/diff")
    def difference(
        *,
        who: Who,
        at: At,
        left: Urn,
        right: Annotated[str | None, Query(description="The same asset unless given.")] = None,
        left_at: Moment = None,
        right_at: Moment = None,
    ) -> list[views.Difference]:
        """The facets in which two assets differ, or one asset at two times."""
        return changes.diff(
            at.tx,
            who.tenant,
            left,
            right or left,
            left_at=_aware(left_at),
            right_at=_aware(right_at),
        )

    @router.get("/changes")
    def change_feed(who: Who, at: At, limit: PageSize = PAGE, cursor: Cursor = None) -> views.Feed:
        """What arrived behind the cursor, in the order of arrival here."""
        return changes.feed(at.tx, who.tenant, limit=limit, after=cursor)

    @router.get("/pending")
    def pending_references(
        who: Who, at: At, limit: PageSize = PAGE, cursor: Cursor = None
    ) -> Page[views.Pending]:
        """Models and versions that events speak of and nobody has registered."""
        return pending.pending(at.tx, who.tenant, limit=limit, after=cursor)

    @router.get("/rejected")
    def rejected_facets(
        who: Who, at: At, limit: PageSize = PAGE, cursor: Cursor = None
    ) -> Page[views.RejectedView]:
        """Parts of events that could not be kept, and why."""
        return pending.rejected(at.tx, who.tenant, limit=limit, after=cursor)


def _aware(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise InvalidInput(f"{moment.isoformat()}: give the time with its offset, such as Z")
    return moment
