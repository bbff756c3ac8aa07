"""The service's HTTP API."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from trunkline.catalogue.assets import asset_urn
from trunkline.client.outbox import Outbox
from trunkline.codec.openlineage.run_event import RUN_EVENT_BYTES_MAX, decode_run_event
from trunkline.services.app import Context
from trunkline.services.kit.api import (
    Caller,
    Page,
    PageSize,
    Reading,
    caller,
    decode_cursor,
    page_of,
    reading,
    scoped,
)
from trunkline.services.kit.api.content import JSON_CONTENT, content_up_to
from trunkline.services.kit.api.pages import PAGE_DEFAULT
from trunkline.services.quality import queries
from trunkline.services.quality.checks import decide
from trunkline.services.quality.facts import to_us
from trunkline.services.quality.lineage import Taken, take
from trunkline.services.quality.options import OptionsBook

WRITE: Final = "quality:write"
"""The scope of those who may decide about checks of their tenant, and report what checks found."""

Writer = Annotated[Caller, scoped(WRITE)]


class DecisionBody(BaseModel):
    """What is to become of a check."""

    state: Literal["active", "muted", "proposed"]


def routes(context: Context, outbox: Outbox, options: OptionsBook) -> APIRouter:
    """Assets, anomalies, checks, scores; and the door for OpenLineage."""
    router = APIRouter()

    @router.get("/assets", summary="Assets by name")
    def assets(
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        limit: PageSize = PAGE_DEFAULT,
        after: str | None = None,
    ) -> Page[queries.AssetView]:
        last = None if after is None else decode_cursor(after, tuple[str])[0]
        found = queries.assets(at.tx, who.tenant, limit=limit, after=last)
        return page_of(found, limit, lambda one: [one.asset])

    @router.get("/assets/{asset}/scores", summary="An asset's scores by dimension, in percent")
    def scores(asset: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]) -> queries.Scores:
        return queries.scores(at.tx, who.tenant, asset_urn(asset))

    @router.get("/anomalies", summary="Anomalies, newest first")
    def anomalies(
        *,
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        asset: str | None = None,
        only_open: bool = False,
        limit: PageSize = PAGE_DEFAULT,
        after: str | None = None,
    ) -> Page[queries.AnomalyView]:
        found = queries.anomalies(
            at.tx,
            who.tenant,
            limit=limit,
            asset=None if asset is None else asset_urn(asset),
            only_open=only_open,
            after=None if after is None else decode_cursor(after, tuple[int, str]),
        )
        return page_of(found, limit, lambda one: [to_us(one.raised_at), one.id])

    @router.get("/anomalies/{anomaly_id}", summary="Why an anomaly was raised")
    def explain(
        anomaly_id: str, who: Annotated[Caller, caller], at: Annotated[Reading, reading]
    ) -> queries.Explanation:
        return queries.explain(at.tx, who.tenant, anomaly_id, options.of(who.tenant))

    @router.get("/checks", summary="Checks, proposed and active, by asset")
    def checks(
        *,
        who: Annotated[Caller, caller],
        at: Annotated[Reading, reading],
        asset: str | None = None,
        state: Literal["active", "muted", "proposed"] | None = None,
        limit: PageSize = PAGE_DEFAULT,
        after: str | None = None,
    ) -> Page[queries.CheckView]:
        found = queries.checks(
            at.tx,
            who.tenant,
            options.of(who.tenant),
            limit=limit,
            asset=None if asset is None else asset_urn(asset),
            state=state,
            after=None if after is None else decode_cursor(after, tuple[str, str]),
        )
        return page_of(found, limit, lambda one: [one.asset, one.id])

    @router.put("/checks/{check_id}/state", summary="Activate a check, mute it, or propose it again")
    def set_state(check_id: str, body: DecisionBody, who: Writer) -> DecisionBody:
        with context.store.write() as tx:
            decide(tx, who.tenant, check_id, body.state, by=who.subject)
        return body

    @router.post(
        "/lineage",
        summary="Take the check results of an OpenLineage run event",
        status_code=HTTPStatus.CREATED,
        openapi_extra=JSON_CONTENT,
    )
    def lineage(
        who: Writer,
        content: Annotated[bytes, Depends(content_up_to(RUN_EVENT_BYTES_MAX))],
    ) -> Taken:
        event = decode_run_event(content)
        with context.store.write() as tx:
            taken = take(tx, who.tenant, event, outbox)
        context.wake()
        return taken

    @router.get("/settings/refused", summary="Settings that make no sense, and why")
    def refused(who: Annotated[Caller, caller]) -> dict[str, str]:
        return {key: why for (of, key), why in options.refused.items() if of in (None, who.tenant)}

    return router
